"""A folder of FLIR radiometric JPEGs: temperatures, and the visible image in the same file."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from common.errors import ConfigError
from common.modality import Modality
from eval.class_names import COCO_NAMES
from eval.named_labels import NamedLabels
from pipeline.frames import Image
from pipeline.images import list_images
from pipeline.sources._flir_file import temperatures, visible
from pipeline.sources._image_pairs import ImagePairs
from pipeline.sources._ir_range import IrRange
from pipeline.sources._labels import BoxOrigin, ClassMapping, ClassNames, open_labels


class Config(BaseModel):
    """A folder of FLIR radiometric JPEGs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(description="folder of the JPEGs, as the camera stored them")
    labels: Path | None = Field(
        None, description="folder of YOLO txt, VOC xml or KAIST's txt, or COCO json"
    )
    labels_on: Modality = Field("vis", description="the images that they are drawn on")
    class_names: ClassNames = None
    class_map: ClassMapping = None
    box_origin: BoxOrigin = 0
    ir_range: IrRange | None = Field(
        None, description="degrees Celsius that become black and white; irvis init writes it"
    )


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "FlirPairs":
    """The pairs of a folder; the labels' classes are those of ``names``.

    Raises:
        ConfigError: flyr isn't installed.
        DataError: The folder is missing or empty, or the labels can't be read.
    """
    try:
        importlib.import_module("flyr")
    except ImportError as error:
        raise ConfigError(
            "source.kind=flir: flyr is not installed; `.venv/bin/pip install flyr`, which "
            "irvis[flir] brings too"
        ) from error
    files = list_images(config.root)
    labels = None
    if config.labels is not None:
        called = {key: (key,) for key in files}
        opened = open_labels(config.labels, config, names, called, None)
        labels = NamedLabels(opened, called)
    return FlirPairs(files, files, labels, config.ir_range, labels_on=config.labels_on)


class FlirPairs(ImagePairs):
    """Pairs of which each is one file."""

    def image(self, path: Path, camera: Modality) -> Image:
        """Temperatures HW float32 in degrees Celsius, or the visible image.

        Raises:
            DataError: It can't be read.
        """
        return temperatures(path) if camera == "ir" else visible(path)
