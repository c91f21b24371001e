"""Decides which pairs are processed, adds labels and ready-made images, and counts all pairs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from eval.label_report import Counted
from eval.labels import Labels
from eval.light import light_of
from pipeline.config.config import Config
from pipeline.engine.compute import Arms
from pipeline.engine.health import Health
from pipeline.engine.leakage import Leakage, training_ids
from pipeline.engine.ledger import Ledger
from pipeline.frames import BadPair, Dropped, Frame, FramePair, Item
from pipeline.geometry.registration import Register
from pipeline.images import to_grey
from pipeline.interfaces import Source, Summary


class Admission:
    """Turns a source's pairs into items; those that can't be processed go to the ledger.

    Attributes:
        first_reason: Why the first bad pair was left out; empty if there was none.
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
        self._folders = {name: arm for name, arm in arms.items() if arm.config.reads_images}
        self._leakage = Leakage(training_ids(config))
        # stills may be dark or equal although no camera is dead
        self._health = None if source.frame_rate is None else Health()

    def admit(self, pairs: Iterable[FramePair | BadPair | Dropped]) -> Iterator[Item]:
        """Yield the pairs that can be processed; write the others to the ledger, or end the run.

        Raises:
            DataError: A pair is bad or a camera is dead, and ``run.on_bad_pair`` is `fail`.
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
        labels = self._source.label_report
        return Summary(
            self._ledger.counts,
            self._objects,
            self._labelled_objects,
            self._leakage.leaked,
            self._source.timing(),
            classes=None if labels is None else Counted.of(labels, self._classes),
            labels=labels,
        )

    def _admit(self, pair: FramePair | BadPair) -> tuple[Item | None, str]:
        """The item of a pair, None if it can't be processed, and the reason.

        A pair with one dead camera has both an item and a reason.
        """
        item, reason = (None, pair.reason) if isinstance(pair, BadPair) else self._complete(pair)
        self._count(pair.key, item)
        if item is not None and item.dead is None:
            self._leakage.check(item.pair)
        return item, reason

    def _complete(self, pair: FramePair) -> tuple[Item | None, str]:
        given = pair
        dead, reason = (self._health and self._health(pair)) or (None, "")
        try:
            if self._register is not None:
                pair = self._register(pair)
            if dead is not None:
                pair = _fill_missing(pair)
            if problem := pair.problem():
                return None, problem
            key, _, vis = pair.whole()
            labels = self._labels(given, vis.size) if self._source.has_labels else None
            ready = {name: arm.read(key, vis.size) for name, arm in self._folders.items()}
        except DataError as error:
            return None, str(error)
        light = None if labels is None else light_of(key, float(to_grey(vis.image).mean()))
        return Item(pair, labels, ready, light, dead), reason

    def _labels(self, given: FramePair, size: tuple[int, int]) -> Labels:
        """A pair's labels on the visible grid; ``given`` is the pair as it came."""
        if self._source.labels_on == "vis" or given.ir is None:
            return self._source.labels(given.key, size)
        labels = self._source.labels(given.key, given.ir.size)
        return labels if self._register is None else self._register.labels(labels)

    def _count(self, key: str, item: Item | None) -> None:
        """Count a pair's labelled objects, of the scored classes only."""
        if not self._source.has_labels:
            return
        labels = None if item is None else item.labels
        objects = 0 if labels is None else self._scored(labels.class_id)
        if labels is None or self._source.labels_on == "ir":
            # registration may have moved objects out of the visible image: count those of the file
            self._labelled_objects += self._scored(self._source.label_classes(key))
        else:
            self._labelled_objects += objects
        if item is not None and item.dead is None:  # fallback pairs are not scored
            self._objects += objects

    def _scored(self, ids: NDArray[np.int64]) -> int:
        """The number of these class ids that are scored."""
        return len(ids) if self._classes is None else int(np.isin(ids, self._classes).sum())


def _fill_missing(pair: FramePair) -> FramePair:
    """The pair with a black frame in place of a missing one."""
    present = pair.ir or pair.vis
    assert present is not None, "a pair has a frame"
    black = Frame(np.zeros(present.size, np.uint8), present.timestamp_ns, -1)
    return replace(pair, ir=pair.ir or black, vis=pair.vis or black)
