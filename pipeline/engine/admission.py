"""Which pairs are processed, and what is known of each before any arm sees it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import DataError
from detection import weights
from eval.label_report import Counted
from eval.light import light_of
from fusion.network import checkpoint
from pipeline.arms.folder import FolderArm
from pipeline.config.components import Component
from pipeline.config.config import Config
from pipeline.engine.compute import Arms
from pipeline.engine.health import Health
from pipeline.engine.ledger import Ledger
from pipeline.frames import BadPair, Dropped, Frame, FramePair, Item
from pipeline.geometry.misalignment import misalignment
from pipeline.geometry.perturb import Perturb
from pipeline.geometry.registration import Register
from pipeline.images import pair_id, to_grey, to_rgb
from pipeline.interfaces import Source, Summary
from pipeline.sync.pairing import Skew


class Admission:
    """Takes pairs from a source, with their labels and ready-made images; counts as it goes.

    Attributes:
        first_reason: Why the first bad pair was left out; empty where there was none.
    """

    def __init__(
        self,
        config: Config,
        source: Source,
        arms: Arms,
        ledger: Ledger,
        *,
        fail: bool,
        register: Register | None,
    ) -> None:
        self._objects = self._labelled_objects = 0
        self.first_reason = ""
        self._source, self._ledger, self._fail, self._register = source, ledger, fail, register
        self._classes = config.classes
        self._folders = {name: arm for name, arm in arms.items() if isinstance(arm, FolderArm)}
        self._trained_on = training_ids(config)
        self._leaked: dict[str, list[str]] = {name: [] for name in self._trained_on}
        self._perturb = Perturb(config.perturb) if config.perturb.changes else None
        # stills may be dark or alike without any camera being dead
        self._health = None if source.frame_rate is None else Health()

    def admit(self, pairs: Iterable[FramePair | BadPair | Dropped]) -> Iterator[Item]:
        """The pairs that can be processed; the others go to the ledger, or end the run.

        Raises:
            DataError: A pair is bad, or a camera dead, and the run is to fail then.
        """
        for pair in pairs:
            if isinstance(pair, Dropped):
                self._ledger.dropped(pair)
                continue
            item, reason = self._admit(pair)
            if reason and self._fail:
                raise DataError(reason)
            if item is None:
                self.first_reason = self.first_reason or reason
                self._ledger.bad(pair, reason)
                continue
            if reason:
                self._ledger.fallback(item.pair, reason)
            else:
                self._ledger.paired()
            yield item

    def summary(self) -> Summary:
        """All counts."""
        labels = getattr(self._source, "label_report", None)
        return Summary(
            self._ledger.counts,
            self._objects,
            self._labelled_objects,
            self._leaked,
            self._timing(),
            classes=None if labels is None else Counted.of(labels, self._classes),
            labels=labels,
        )

    def _timing(self) -> dict[str, Any] | None:
        clock = getattr(self._source, "clock", None)
        if clock is None:
            return None
        skew: Skew = self._source.skew  # type: ignore[attr-defined]
        return {
            "offset_ms": clock.offset_ns / 1e6,
            "drift_ppm": clock.drift_ppm,
            "skew": skew.as_dict(),
        }

    def _admit(self, pair: FramePair | BadPair) -> tuple[Item | None, str]:
        """The pair with all that belongs to it, if it can be processed, and what is wrong with it.

        A pair of which one camera is dead is processed with something wrong.
        """
        objects = self._count(pair.key)
        self._labelled_objects += objects
        if isinstance(pair, BadPair):
            return None, pair.reason
        dead, reason = (self._health and self._health(pair)) or (None, "")
        try:
            if self._register is not None:
                pair = self._register(pair)
            if dead is not None:
                pair = _stand_in(pair)
            if problem := pair.problem():
                return None, problem
            key, ir, vis = pair.whole()
            labels = self._source.labels(key, vis.size) if self._source.has_labels else None
            ready = {name: arm.read(key, vis.size) for name, arm in self._folders.items()}
        except DataError as error:
            return None, str(error)
        light = None if labels is None else light_of(key, float(to_grey(vis.image).mean()))
        item = Item(pair, labels, ready, light, dead)
        if dead is None:  # no number counts the others
            self._objects += objects
            if self._trained_on:
                self._look_for_leak(key, pair_id(to_grey(ir.image), to_rgb(vis.image)))
        return item, reason

    def finish(self, item: Item) -> Item:
        """The item with its faults, if it is to have any, and how far its images are apart.

        Apart from the rest, for pairs that an earlier run did need none of it.
        """
        if self._perturb is not None:
            item = self._perturb(item)
        if item.dead is not None:
            return item
        _, ir, vis = item.pair.whole()
        found = misalignment(
            ir=to_grey(ir.image),
            vis=to_grey(vis.image),
            covered=None if self._register is None else self._register.covered,
        )
        return replace(item, misalignment=found)

    def _look_for_leak(self, key: str, content: str) -> None:
        """Note whose weights were trained on this pair."""
        for name, ids in self._trained_on.items():
            if content in ids:
                self._leaked[name].append(key)

    def _count(self, key: str) -> int:
        """How many labelled objects of a pair are scored."""
        if not self._source.has_labels:
            return 0
        ids = self._source.label_classes(key)
        return len(ids) if self._classes is None else int(np.isin(ids, self._classes).sum())


def _stand_in(pair: FramePair) -> FramePair:
    """The pair with black in place of a frame that is missing."""
    known = pair.ir or pair.vis
    assert known is not None, "a pair has a frame"
    black = Frame(np.zeros(known.size, np.uint8), known.timestamp_ns, -1)
    return replace(pair, ir=pair.ir or black, vis=pair.vis or black)


def training_ids(config: Config) -> dict[str, frozenset[str]]:
    """What the weights of each arm, and of the ``detector``, were trained on, where they say."""
    paths: dict[str, Path | None] = {
        name: checkpoint.find(arm.config.weights)
        for name, arm in config.arms.items()
        if _names_weights(arm)
    }
    if config.detector is not None and _names_weights(config.detector):
        paths["detector"] = weights.find(config.detector.config.weights)
    ids = {name: checkpoint.trained_on(path) for name, path in paths.items() if path is not None}
    return {name: found for name, found in ids.items() if found}


def _names_weights(component: Component) -> bool:
    return isinstance(getattr(component.config, "weights", None), str)
