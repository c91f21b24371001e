"""Two folders of images, paired by file stem: one infrared, one visible."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from common.errors import DataError
from eval.class_names import COCO_NAMES
from eval.label_report import LabelReport
from eval.labels import Labels, LabelSet
from pipeline.frames import BadPair, Frame, FramePair
from pipeline.images import list_images, natural, read_image, to_eight_bit
from pipeline.interfaces import Source
from pipeline.sources._labels import (
    BOX_ORIGIN,
    CLASS_MAP,
    CLASS_NAMES,
    BoxOrigin,
    ClassMapping,
    ClassNames,
    open_labels,
)


def _ordered(limits: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= limits[0] < limits[1] <= 65535:
        raise ValueError("must be two counts, low < high, in 0..65535")
    return limits


IrRange = Annotated[tuple[int, int], AfterValidator(_ordered)]


class Config(BaseModel):
    """Two folders of images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ir: Path = Field(description="folder of infrared images")
    vis: Path = Field(description="folder of visible images with the same stems")
    labels: Path | None = Field(
        None, description="folder of YOLO txt, VOC xml or KAIST's txt, or COCO json"
    )
    class_names: ClassNames = CLASS_NAMES
    class_map: ClassMapping = CLASS_MAP
    box_origin: BoxOrigin = BOX_ORIGIN
    ignore: Path | None = Field(None, description="json of regions that count neither way")
    ir_range: IrRange | None = Field(None, description="counts of 16-bit IR -> 0..255")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "ImagePairs":
    """The pairs of two folders; the labels' classes are those of ``names``.

    Raises:
        DataError: A folder is missing or empty, or the labels can't be read.
    """
    ir, vis = list_images(config.ir), list_images(config.vis)
    labels = None
    if config.labels is not None:
        labels = open_labels(config.labels, config, names, {**ir, **vis}, config.ignore)
    return ImagePairs(ir, vis, labels, config.ir_range)


class ImagePairs(Source):
    """Pairs of image files by key."""

    def __init__(
        self,
        ir: Mapping[str, Path],
        vis: Mapping[str, Path],
        labels: LabelSet | None,
        ir_range: tuple[int, int] | None,
    ) -> None:
        self._ir, self._vis, self._labels, self._ir_range = ir, vis, labels, ir_range
        self._keys = sorted({*ir, *vis}, key=lambda key: (natural(key), key))

    @property
    def keys(self) -> list[str]:
        """All keys, those without partner included, in natural order."""
        return self._keys

    @property
    def count(self) -> int:
        """How many keys there are, paired or not."""
        return len(self._keys)

    @property
    def has_labels(self) -> bool:
        """Whether ground truth was given."""
        return self._labels is not None

    @property
    def label_report(self) -> LabelReport | None:
        """What of the labels counts, None without any."""
        return self._labels.report if self._labels else None

    @property
    def label_protocol(self) -> Mapping[str, Any]:
        """What of the labels' reading changes the numbers."""
        return self._labels.protocol if self._labels else {}

    def check(self) -> None:
        """Decode every image and read every label once, so that a mistake is known at the start."""
        with ThreadPoolExecutor() as pool:
            pairs = pool.map(self._pair, range(len(self.keys)))
            for key, pair in zip(self.keys, pairs, strict=True):
                if isinstance(pair, BadPair):
                    raise DataError(pair.reason)
                if pair.ir is None or pair.vis is None:
                    raise DataError(self._partner_missing(key))
                if problem := pair.problem():
                    raise DataError(problem)
                self.labels(key, pair.vis.size)

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Ground truth of a pair; empty where nothing is labelled."""
        return self._labels.get(key, size) if self._labels else Labels.empty()

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,), whatever its size."""
        return self._labels.class_ids(key) if self._labels else np.zeros(0, np.int64)

    def __iter__(self) -> Iterator[FramePair | BadPair]:
        return map(self._pair, range(len(self.keys)))

    def _pair(self, index: int) -> FramePair | BadPair:
        key = self.keys[index]
        try:
            ir = self._read(self._ir.get(key), index, ir=True)
            vis = self._read(self._vis.get(key), index, ir=False)
        except DataError as error:
            return BadPair(key, str(error))
        return FramePair(key, ir, vis)

    def _read(self, path: Path | None, index: int, *, ir: bool) -> Frame | None:
        if path is None:
            return None
        image = read_image(path)
        if ir:
            image = to_eight_bit(image, self._ir_range, path)
        elif image.dtype != np.uint8:
            raise DataError(f"{path}: visible images must have 8 bit; convert it")
        return Frame(image, None, index)

    def _partner_missing(self, key: str) -> str:
        path = self._ir.get(key) or self._vis[key]
        kind = "visible" if key in self._ir else "infrared"
        return f"{path}: has no {kind} partner named {key}.*"
