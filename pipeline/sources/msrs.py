"""The MSRS data set, or any folder of its layout: `ir/`, `vi/` and optionally `labels/`.

Both of its layouts are read: `detection/{ir,vi,labels}`, and `test/{ir,vi}` or `train/{ir,vi}`.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from common.errors import DataError
from eval.class_names import COCO_NAMES
from eval.named_labels import NamedLabels
from pipeline.images import list_images
from pipeline.sources._image_pairs import ImagePairs
from pipeline.sources._ir_range import IrRange
from pipeline.sources._labels import BoxOrigin, ClassMapping, ClassNames, open_labels


class Config(BaseModel):
    """A folder of MSRS's layout."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path = Field(description="folder that holds ir/ and vi/, and labels/ if there are any")
    class_names: ClassNames = None
    class_map: ClassMapping = None
    box_origin: BoxOrigin = 0
    ir_range: IrRange | None = Field(None, description="counts of 16-bit IR -> 0..255")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> ImagePairs:
    """The pairs below ``root``; ``root/ignore.json`` holds regions that count neither way.

    The labels' classes are those of ``names``.

    Raises:
        DataError: The folder isn't of this layout, or its labels can't be read.
    """
    root = config.root
    if not root.is_dir():
        raise DataError(f"source.root: {root} is no folder; set it to the folder with ir/ and vi/")
    missing = [name for name in ("ir", "vi") if not (root / name).is_dir()]
    if missing:
        inner = [d.name for d in sorted(root.iterdir()) if (d / "ir").is_dir()]
        hint = (
            f"; did you mean {root / inner[0]}?" if inner else "; MSRS has ir/ and vi/ side by side"
        )
        raise DataError(f"source.root: {root} has no folder {missing[0]}/{hint}")
    labels, ignore = root / "labels", root / "ignore.json"
    ir, vis = list_images(root / "ir"), list_images(root / "vi")
    label_set = None
    if labels.is_dir():
        regions = ignore if ignore.is_file() else None
        called = {key: (key,) for key in {**ir, **vis}}
        label_set = NamedLabels(open_labels(labels, config, names, called, regions), called)
    return ImagePairs(ir, vis, label_set, config.ir_range)
