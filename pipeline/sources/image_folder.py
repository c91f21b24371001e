"""Two folders of images, one infrared and one visible, paired by name."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.modality import Modality
from eval.class_names import COCO_NAMES
from eval.named_labels import NamedLabels
from pipeline.sources import _pairing_by_name
from pipeline.sources._flir_file import is_radiometric
from pipeline.sources._image_pairs import ImagePairs
from pipeline.sources._ir_range import IrRange
from pipeline.sources._labels import BoxOrigin, ClassMapping, ClassNames, open_labels
from pipeline.sources._pairing_by_name import Names

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


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> ImagePairs:
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
