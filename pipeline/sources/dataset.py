"""A data set of infrared/visible pairs as it is downloaded, recognised by its folders.

What is where is described in `pipeline/sources/_layouts.py`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from common.errors import DataError
from common.modality import CAMERA, MODALITIES, Modality
from eval.class_names import COCO_NAMES
from eval.label_files import read_labels
from eval.named_labels import NamedLabels
from pipeline.images import read_image
from pipeline.sources._dataset_pairs import Bordered, DatasetPairs
from pipeline.sources._ir_range import IrRange
from pipeline.sources._labels import BoxOrigin, ClassMapping, ClassNames, open_labels
from pipeline.sources._layout import Layout, Listed, Parts
from pipeline.sources._layouts import LAYOUTS
from pipeline.sources._sequences import by_sequences
from pipeline.sources._split_files import by_folders
from pipeline.sources._visible_lists import by_yaml

log = logging.getLogger(__name__)


Name = Literal[
    "yolo", "kaist", "flir_aligned", "flir_v2", "dronevehicle", "vtuav", "m3fd", "llvip", "mfnet",
    "msrs",
]  # fmt: skip


class Config(BaseModel):
    """A data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(description="its folder, or a data.yaml")
    layout: Name | None = Field(None, description="how its files lie; default: by its folders")
    split: str | None = Field(
        None, min_length=1, description="train, val, test, as it calls it; default: for testing"
    )
    every: int | None = Field(
        None, ge=1, description="every n-th frame of videos; KAIST: 20, VTUAV: 10, others: 1"
    )
    subset: Literal["reasonable", "all"] | None = Field(
        None, description="the objects of KAIST that count; default: reasonable"
    )
    labels_on: Modality | None = Field(
        None, description="the camera whose labels are the pairs'; default: the data set's custom"
    )
    own_labels: bool = Field(
        False, description="score arms that show one camera alone on that camera's labels"
    )
    class_names: ClassNames = None
    class_map: ClassMapping = None
    box_origin: BoxOrigin = 0
    ir_range: IrRange | None = Field(None, description="counts of 16-bit IR -> 0..255")


def recognise(root: Path) -> str | None:
    """The name of a folder's layout, or of a `data.yaml`'s; None if it is of none.

    Raises:
        DataError: A folder can't be listed.
    """
    if root.is_file():
        return "yolo" if root.suffix.lower() in (".yaml", ".yml") else None
    listed: Listed = {}
    return next((name for name, layout in LAYOUTS.items() if layout.fits(root, listed)), None)


def nearly(root: Path) -> str:
    """The layout that a folder has all of but one part, in words; empty if there is none."""
    listed: Listed = {}
    for layout in LAYOUTS.values():
        for group, lacking in layout.lacking(root, listed):
            if len(lacking) == 1 and len(group) == 2 and all("{split}" in mark for mark in group):
                return f"{root}: looks like {layout.title}, but has no {lacking[0]}; unpack it too"
    return ""


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> DatasetPairs:
    """The pairs of a data set; the labels' classes are those of ``names``.

    Raises:
        DataError: It isn't there, or in part; it is of no known layout; its labels can't be read.
    """
    layout = _layout(config)
    parts = _parts(config, layout)
    border = _border(layout, parts)
    labels = _labels(config, layout, parts, names, border)
    usual: tuple[Modality, ...] = (layout.labels_on, *MODALITIES)
    usually = next((each for each in usual if each in labels), layout.labels_on)
    on = usually if config.labels_on is None else config.labels_on
    if config.labels_on is not None and on not in labels:
        raise DataError(
            f"source.labels_on: {layout.title} in {config.root} has no labels of the "
            f"{CAMERA[on]} images, but of {', '.join(CAMERA[each] for each in labels) or 'none'}"
        )
    if not labels:
        log.warning("%s in %s has no boxes here: nothing is scored", layout.title, config.root)
    own = {camera: labels[camera] for camera in labels if config.own_labels and camera != on}
    return DatasetPairs(
        layout, parts, labels.get(on), config.ir_range, labels_on=on, own_labels=own, border=border
    )


def _layout(config: Config) -> Layout:
    root = config.root
    if not root.exists():
        raise DataError(f"source.root: {root} is not there; set it to the folder of a data set")
    name = config.layout or recognise(root)
    if name is None:
        titles = ", ".join(dict.fromkeys(layout.title for layout in LAYOUTS.values()))
        raise DataError(
            nearly(root)
            or f"source.root: {root} has the folders of no known data set ({titles}); set it to "
            "the folder that was unpacked, or use source.kind=image_folder"
        )
    return LAYOUTS[name]


def _parts(config: Config, layout: Layout) -> Parts:
    if layout.form == "yaml":
        return by_yaml(layout, config.root, config.split)
    if layout.form == "sequences":
        return by_sequences(layout, config.root, config.split, config.every)
    return by_folders(layout, config.root, config.split, config.every)


def _labels(
    config: Config, layout: Layout, parts: Parts, names: Mapping[int, str], border: int
) -> dict[Modality, NamedLabels]:
    """The labels of each camera that has any."""
    classes = parts.classes or dict(enumerate(layout.classes)) or None
    settings = config.model_copy(update={"class_names": config.class_names or classes})
    reasonable = layout.reasonable and config.subset != "all"
    labels: dict[Modality, NamedLabels] = {}
    for camera, path in parts.labels.items():
        called = parts.called[camera]
        files = parts.read.get(camera) or read_labels(
            path,
            {name for each in called.values() for name in each},
            box_origin=config.box_origin,
            reasonable=reasonable,
            strays=False,
        )
        read = open_labels(path, settings, names, called, None, files=files, reasonable=reasonable)
        labels[camera] = Bordered(read, called, border)
    return labels


def _border(layout: Layout, parts: Parts) -> int:
    """Pixels of border round the images; 0 where they were cropped already."""
    if not layout.border:
        return 0
    first = next(iter({**parts.ir, **parts.vis}.values()))
    size = read_image(first).shape[:2]
    return layout.border if size == layout.bordered else 0
