"""Pairs of image files, of whatever kind of source lists them."""

import filecmp
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.modality import Modality
from eval.label_report import LabelReport
from eval.labels import Labels
from eval.named_labels import NamedLabels
from pipeline.frames import BadPair, Frame, FramePair, Image
from pipeline.images import natural, outside, read_image, to_eight_bit
from pipeline.interfaces import Source
from pipeline.shard import Shard
from pipeline.sources._plausibility import Plausibility, identical

log = logging.getLogger(__name__)


class ImagePairs(Source):
    """Pairs of image files by key."""

    def __init__(
        self,
        ir: Mapping[str, Path],
        vis: Mapping[str, Path],
        labels: NamedLabels | None,
        ir_range: tuple[float, float] | None,
        *,
        labels_on: Modality = "vis",
        own_labels: Mapping[Modality, NamedLabels] | None = None,
    ) -> None:
        """Prepare; no image is read yet.

        Args:
            ir: Infrared image by key.
            vis: Visible image by key.
            labels: Ground truth, or None.
            ir_range: Values that become black and white, for infrared with over 8 bit.
            labels_on: The modality whose images the labels are drawn on.
            own_labels: By camera, labels of its own.
        """
        self._ir, self._vis, self._labels, self._ir_range = ir, vis, labels, ir_range
        self.labels_on, self.own_labels = labels_on, own_labels or {}
        self._checks: Plausibility | None = Plausibility()
        self._part: Plausibility | None = None  # of a shard
        self._outside: dict[int, str] = {}  # why an image has no pixel within the range
        self._out_of_range = False  # whether it was said
        self._keys = sorted({*ir, *vis}, key=lambda key: (natural(key), key))
        self._range = range(len(self._keys))  # those that are iterated

    @property
    def keys(self) -> list[str]:
        """All keys, paired or not, in natural order."""
        return self._keys[self._range.start : self._range.stop]

    def paired(self) -> list[str]:
        """The keys with both images."""
        return [key for key in self.keys if key in self._ir and key in self._vis]

    def of(self, keys: Iterable[str]) -> "ImagePairs":
        """A source of these keys alone, which must have both images; without labels."""
        chosen = copy(self)
        chosen._keys = sorted(keys, key=lambda key: (natural(key), key))
        chosen._range = range(len(chosen._keys))
        chosen._ir = {key: self._ir[key] for key in chosen._keys}
        chosen._vis = {key: self._vis[key] for key in chosen._keys}
        chosen._labels, chosen.own_labels = None, {}
        chosen._checks, chosen._outside = Plausibility(), {}
        return chosen

    @property
    def count(self) -> int:
        """The number of keys, paired or not."""
        return len(self._range)

    @property
    def has_labels(self) -> bool:
        """Whether ground truth was given."""
        return self._labels is not None

    @property
    def label_report(self) -> LabelReport | None:
        """Which of the labels count, None without labels."""
        return self._labels.report if self._labels else None

    @property
    def label_protocol(self) -> Mapping[str, Any]:
        """The settings of the labels that change the numbers."""
        every = (*self.own_labels.values(), *([self._labels] if self._labels else []))
        return {name: value for labels in every for name, value in labels.protocol.items()}

    def check(self) -> None:
        """Decode every image and read every label once."""
        with ThreadPoolExecutor() as pool:
            pairs = pool.map(self._pair, self._range)
            for key, pair in zip(self.keys, self._with_checks(pairs), strict=True):
                if isinstance(pair, BadPair):
                    raise DataError(pair.reason)
                if pair.ir is None or pair.vis is None:
                    raise DataError(self._partner_missing(key))
                sizes: dict[Modality, tuple[int, int]] = {"ir": pair.ir.size, "vis": pair.vis.size}
                self.labels(key, sizes[self.labels_on])
                for camera, own in self.own_labels.items():
                    own.get(key, sizes[camera])
                if self.register is not None:
                    pair = self.register(pair)
                if problem := pair.problem():
                    raise DataError(problem)

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Ground truth of a pair, in pixels of the image it is drawn on; empty if none is."""
        return self._labels.get(key, size) if self._labels else Labels.empty()

    def is_labelled(self, key: str) -> bool:
        """Whether the labels speak of a pair, be it that nothing is on it."""
        return self._labels is not None and self._labels.has(key)

    @property
    def label_digest(self) -> str:
        """Hash of what the label files say; empty without labels."""
        return self._labels.digest() if self._labels else ""

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,); needs no image size."""
        return self._labels.class_ids(key) if self._labels else np.zeros(0, np.int64)

    def shards(self, pairs: int) -> Sequence[Shard]:
        """Ranges of the keys."""
        count = len(self._keys)
        ends = [(start, min(start + pairs, count)) for start in range(0, count, pairs)]
        return [
            Shard(start, stop, name=f"pairs {self._keys[start]} to {self._keys[stop - 1]}")
            for start, stop in ends
        ]

    def shard(self, shard: Shard) -> "ImagePairs":
        """The pairs of a range; what needs all images is observed and not said."""
        part = copy(self)
        part._range = self._range[shard.start : shard.stop]
        part._part, part._checks, part._outside = Plausibility(quiet=True), None, {}
        return part

    def observed(self) -> Any:  # noqa: ANN401
        """Colours and equal images, and the first image without a value in its range."""
        return self._part and (self._part.state(), next(iter(self._outside.values()), ""))

    def conclude(self, observed: Sequence[Any]) -> None:
        """Give the warnings of a pass over all images, unless they were given."""
        if self._checks is None:
            return
        for state, reason in observed:
            if reason and not self._out_of_range:
                log.warning("%s", reason)
                self._out_of_range = True
            self._checks.add(state)
        self._checks.close()

    def __iter__(self) -> Iterator[FramePair | BadPair]:
        return self._with_checks(map(self._pair, self._range))

    def _with_checks(self, pairs: Iterable[FramePair | BadPair]) -> Iterator[FramePair | BadPair]:
        """Yield the pairs; check the images' plausibility in the first pass."""
        checks, self._checks = self._part or self._checks, None
        for index, pair in enumerate(pairs):
            if not (self._part or self._out_of_range) and (reason := self._outside.get(index)):
                log.warning("%s", reason)
                self._out_of_range = True
            if checks and isinstance(pair, FramePair):
                if pair.ir is not None:
                    checks.check("ir", pair.ir.image, self._ir[pair.key])
                if pair.vis is not None:
                    checks.check("vis", pair.vis.image, self._vis[pair.key])
                if pair.ir is not None and pair.vis is not None:
                    checks.compare(pair.key, pair.ir.image, pair.vis.image)
            yield pair
        if checks and not self._part:
            checks.close()

    def _pair(self, index: int) -> FramePair | BadPair:
        key = self._keys[index]
        try:
            ir = self._read(self._ir.get(key), index, ir=True)
            vis = self._read(self._vis.get(key), index, ir=False)
        except DataError as error:
            return BadPair(key, str(error))
        if ir and vis and identical(ir.image, vis.image):
            files = self._ir[key], self._vis[key]
            if filecmp.cmp(*files, shallow=False):
                return BadPair(
                    key,
                    f"{files[0]} and {files[1]} are the same file: no camera is its own partner; "
                    "give each camera's own images as source.ir and source.vis",
                )
        return FramePair(key, ir, vis, index=index)

    def _read(self, path: Path | None, index: int, *, ir: bool) -> Frame | None:
        if path is None:
            return None
        image = self.image(path, "ir" if ir else "vis")
        if ir:
            if not self._out_of_range and (reason := outside(image, self._ir_range)):
                self._outside[index] = f"{path}: {reason}"
            image = to_eight_bit(image, self._ir_range, path)
        elif image.dtype != np.uint8:
            raise DataError(f"{path}: visible images must have 8 bit; convert it")
        return Frame(image, None, index)

    def files(self, key: str) -> dict[Modality, Path]:
        """The image files of a pair, one or two."""
        every: dict[Modality, Mapping[str, Path]] = {"ir": self._ir, "vis": self._vis}
        return {camera: images[key] for camera, images in every.items() if key in images}

    def image(self, path: Path, camera: Modality) -> Image:
        """The image of a file as a camera took it, as ``read_image`` gives it.

        Raises:
            DataError: It can't be read.
        """
        return read_image(path)

    def _partner_missing(self, key: str) -> str:
        path = self._ir.get(key) or self._vis[key]
        kind = "visible" if key in self._ir else "infrared"
        return (
            f"{path}: has no {kind} partner named {key}.*; add or remove one, or say by "
            "source.names how the names correspond"
        )
