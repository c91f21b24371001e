"""Decides which pairs are processed, adds labels and ready-made images, and counts all pairs."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.modality import Modality
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
from pipeline.interfaces import OwnCounts, Source, Summary


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
        # by the camera whose own labels they are, None for the pair's
        self._objects = Counter[Modality | None]()
        self._labelled_objects = Counter[Modality | None]()
        self.first_reason = ""
        self._source, self._ledger, self._fail, self._register = source, ledger, fail, register
        self._classes = config.classes
        self._folders = {name: arm for name, arm in arms.items() if arm.config.reads_images}
        self._leakage = Leakage(training_ids(config))
        self._health, self._recording = Health(), 0

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
            self._objects[None],
            self._labelled_objects[None],
            self._leakage.leaked,
            self._source.timing(),
            classes=None if labels is None else Counted.of(labels, self._classes),
            labels=labels,
            own_labels={
                camera: OwnCounts(
                    self._objects[camera],
                    self._labelled_objects[camera],
                    Counted.of(own.report, self._classes),
                    own.report,
                )
                for camera, own in self._source.own_labels.items()
            },
        )

    def _admit(self, pair: FramePair | BadPair) -> tuple[Item | None, str]:
        """The item of a pair, None if it can't be processed, and the reason.

        A pair with one dead camera has both an item and a reason.
        """
        item, reason = (None, pair.reason) if isinstance(pair, BadPair) else self._complete(pair)
        if self._source.has_labels:
            self._count(pair, item)
        if item is not None and item.dead is None:
            self._leakage.check(item.pair)
        return item, reason

    def _complete(self, pair: FramePair) -> tuple[Item | None, str]:
        given = pair
        dead, reason = self._dead(pair) or (None, "")
        try:
            if self._register is not None:
                pair = self._register(pair)
            if dead is not None:
                pair = _fill_missing(pair)
            if problem := pair.problem():
                return None, problem
            key, _, vis = pair.whole()
            labels = self._labels(given, vis.size) if self._source.has_labels else None
            own = {camera: self._own(given, vis.size, camera) for camera in self._source.own_labels}
            ready = {name: arm.read(key, vis.size) for name, arm in self._folders.items()}
        except DataError as error:
            return None, str(error)
        light = None if labels is None else light_of(key, float(to_grey(vis.image).mean()))
        return Item(pair, labels, ready, light, dead, own_labels=own), reason

    def _dead(self, pair: FramePair) -> tuple[Modality, str] | None:
        """The dead camera and the reason; stills may be dark or equal although no camera is."""
        if self._source.frame_rate is None or pair.index is not None:
            return None
        if pair.recording != self._recording:
            self._health, self._recording = Health(), pair.recording
        return self._health(pair)

    def _labels(self, given: FramePair, size: tuple[int, int]) -> Labels:
        """A pair's labels on the visible grid; ``given`` is the pair as it came."""
        find = partial(self._source.labels, self._source.label_key(given))
        return self._on_grid(find, given, size, self._source.labels_on)

    def _own(self, given: FramePair, size: tuple[int, int], camera: Modality) -> Labels:
        """The labels of one camera, on the visible grid too."""
        find = partial(self._source.own_labels[camera].get, given.key)
        return self._on_grid(find, given, size, camera)

    def _on_grid(
        self,
        find: Callable[[tuple[int, int]], Labels],
        given: FramePair,
        size: tuple[int, int],
        camera: Modality,
    ) -> Labels:
        """What ``find`` gives for the size of the image that the labels are drawn on."""
        if camera == "vis":
            return find(size)
        if given.ir is None:
            return Labels.empty()
        labels = find(given.ir.size)
        return labels if self._register is None else self._register.labels(labels)

    def _count(self, pair: FramePair | BadPair, item: Item | None) -> None:
        """Count a pair's labelled objects, of the scored classes only."""
        source = self._source
        find = partial(source.label_classes, source.label_key(pair))
        self._add(None, find, item, drawn_on=source.labels_on)
        for camera, own in source.own_labels.items():
            self._add(camera, partial(own.class_ids, pair.key), item, drawn_on=camera)

    def _add(
        self,
        camera: Modality | None,
        find: Callable[[], NDArray[np.int64]],
        item: Item | None,
        *,
        drawn_on: Modality,
    ) -> None:
        labels = None if item is None else item.truth(camera)
        objects = 0 if labels is None else self._scored(labels.class_id)
        # registration may have moved objects out of the visible image: count those of the file
        in_file = labels is None or drawn_on == "ir"
        self._labelled_objects[camera] += self._scored(find()) if in_file else objects
        if item is not None and item.dead is None:  # fallback pairs are not scored
            self._objects[camera] += objects

    def _scored(self, ids: NDArray[np.int64]) -> int:
        """The number of these class ids that are scored."""
        return len(ids) if self._classes is None else int(np.isin(ids, self._classes).sum())


def _fill_missing(pair: FramePair) -> FramePair:
    """The pair with a black frame in place of a missing one."""
    present = pair.ir or pair.vis
    assert present is not None, "a pair has a frame"
    black = Frame(np.zeros(present.size, np.uint8), present.timestamp_ns, -1)
    return replace(pair, ir=pair.ir or black, vis=pair.vis or black)
