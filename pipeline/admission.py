"""Which pairs are processed, and what is known of each before any arm sees it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from detection import weights
from errors import DataError
from eval.light import light_of
from fusion.network import checkpoint
from pipeline.arms.folder import FolderArm
from pipeline.components import Component
from pipeline.config import Config
from pipeline.frames import BadPair, FramePair, Item
from pipeline.images import pair_id, to_grey, to_rgb
from pipeline.interfaces import Source, Summary
from pipeline.ledger import Ledger
from pipeline.stages import Arms, Clock


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
        clock: Clock,
        *,
        fail: bool,
    ) -> None:
        self._objects = self._labelled_objects = 0
        self.first_reason = ""
        self._source, self._ledger, self._clock, self._fail = source, ledger, clock, fail
        self._classes = config.classes
        self._folders = {name: arm for name, arm in arms.items() if isinstance(arm, FolderArm)}
        self._trained_on = training_ids(config)
        self._leaked: dict[str, list[str]] = {name: [] for name in self._trained_on}

    def __iter__(self) -> Iterator[Item]:
        """The pairs that can be processed; the others go to the ledger, or end the run.

        Raises:
            DataError: A pair is bad and the run is to fail then.
        """
        pairs = iter(self._source)
        while True:
            with self._clock.measure("decode"):
                pair = next(pairs, None)
                if pair is None:
                    return
                item = self._admit(pair)
            if isinstance(item, Item):
                self._ledger.paired()
                yield item
                continue
            if self._fail:
                raise DataError(item)
            self.first_reason = self.first_reason or item
            self._ledger.bad(pair, item)

    def summary(self) -> Summary:
        """All counts."""
        return Summary(self._ledger.counts, self._objects, self._labelled_objects, self._leaked)

    def _admit(self, pair: FramePair | BadPair) -> Item | str:
        """The pair with all that belongs to it, or the reason why not."""
        objects = self._count(pair.key)
        self._labelled_objects += objects
        if isinstance(pair, BadPair):
            return pair.reason
        if problem := pair.problem():
            return problem
        key, ir, vis = pair.whole()
        try:
            labels = self._source.labels(key, vis.size) if self._source.has_labels else None
            ready = {name: arm.read(key, vis.size) for name, arm in self._folders.items()}
        except DataError as error:
            return str(error)
        self._objects += objects
        if self._trained_on:
            content = pair_id(to_grey(ir.image), to_rgb(vis.image))
            for name, ids in self._trained_on.items():
                if content in ids:
                    self._leaked[name].append(key)
        light = None if labels is None else light_of(key, float(to_grey(vis.image).mean()))
        return Item(pair, labels, ready, light)

    def _count(self, key: str) -> int:
        """How many labelled objects of a pair are scored."""
        if not self._source.has_labels:
            return 0
        ids = self._source.label_classes(key)
        return len(ids) if self._classes is None else int(np.isin(ids, self._classes).sum())


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
