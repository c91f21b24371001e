"""Two folders of images, one infrared and one visible, paired by name."""

import filecmp
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.errors import DataError
from common.modality import Modality
from eval.class_names import COCO_NAMES
from eval.label_report import LabelReport
from eval.labels import Labels
from eval.named_labels import NamedLabels
from pipeline.frames import BadPair, Frame, FramePair, Image
from pipeline.images import natural, outside, read_image, to_eight_bit
from pipeline.interfaces import Source
from pipeline.shard import Shard
from pipeline.sources import _pairing_by_name
from pipeline.sources._flir_file import is_radiometric
from pipeline.sources._ir_range import IrRange as IrRange
from pipeline.sources._labels import BoxOrigin, ClassMapping, ClassNames, open_labels
from pipeline.sources._pairing_by_name import Names
from pipeline.sources._plausibility import Plausibility, identical

log = logging.getLogger(__name__)


class Config(BaseModel):
    """Two folders of images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ir: Path = Field(description="folder of infrared images")
    vis: Path = Field(description="folder of visible images with the same names")
    names: Names = Field(Names(), description="how names correspond, and which images are taken")
    labels: Path | None = Field(
        None, description="folder of YOLO txt, VOC xml or KAIST's txt, or COCO json"
    )
    labels_on: Modality = Field(
        "vis", description="the images that they are drawn on; ir: carried by the calibration"
    )
    labels_ir: Path | None = Field(
        None, description="those drawn on infrared images, for arms that show infrared alone"
    )
    labels_vis: Path | None = Field(None, description="likewise for visible alone")
    class_names: ClassNames = None
    class_map: ClassMapping = None
    box_origin: BoxOrigin = 0
    ignore: Path | None = Field(None, description="json of regions that count neither way")
    ir_range: IrRange | None = Field(
        None, description="counts of 16-bit IR, or values of float IR, -> 0..255"
    )

    @model_validator(mode="after")
    def _pair_has_labels(self) -> Self:
        if self.labels is None and (own := next(iter(self.own_labels), None)):
            raise ValueError(
                f"labels_{own} is for arms that show that camera alone; set labels to the pair's, "
                "on which all others are scored"
            )
        return self

    @property
    def own_labels(self) -> dict[Modality, Path]:
        """By camera, the labels of its own."""
        given: dict[Modality, Path | None] = {"ir": self.labels_ir, "vis": self.labels_vis}
        return {camera: path for camera, path in given.items() if path is not None}


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "ImagePairs":
    """The pairs of two folders; the labels' classes are those of ``names``.

    Raises:
        DataError: A folder is missing or empty, or the labels can't be read.
    """
    files = _pairing_by_name.find(config.ir, config.vis, config.names)
    screen = next(iter(files.ir.values()), None)
    if screen is not None and is_radiometric(screen):
        log.warning(
            "%s is the screen picture of a FLIR camera (palette and overlay, with MSX also edges "
            "of the visible image), no thermogram; source.kind=flir reads its temperatures",
            screen,
        )
    own = config.own_labels
    drawn = [(camera, path) for camera, path in own.items()]
    if config.labels is not None:
        drawn.append((config.labels_on, config.labels))

    def read(path: Path, camera: Modality, ignore: Path | None) -> NamedLabels:
        shared = any(of != camera and _same(path, other) for of, other in drawn)
        called = files.names(camera, shared=shared)
        return NamedLabels(open_labels(path, config, names, called, ignore), called)

    labels = None
    if config.labels is not None:
        labels = read(config.labels, config.labels_on, config.ignore)
    return ImagePairs(
        files.ir,
        files.vis,
        labels,
        config.ir_range,
        labels_on=config.labels_on,
        own_labels={camera: read(path, camera, None) for camera, path in own.items()},
    )


def _same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except (OSError, ValueError):
        return False  # reading them says what is wrong


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
