"""Labels from a COCO file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import DataError
from eval.class_map import SourceClass
from eval.coco_checks import check_dataset
from eval.coco_files import image_key, load_json
from eval.labelled_image import LabelledImage


def read_coco_labels(path: Path) -> dict[str, LabelledImage]:
    """What is labelled, by the image's path without suffix; crowds become ignore regions.

    Raises:
        errors.DataError: The file is missing or wrong; the text names the entry and its line.
    """
    data = check_dataset(path, load_json(path))
    names = {category["id"]: category.get("name") for category in data.get("categories", [])}
    objects: dict[int, list[tuple[SourceClass, list[float], bool]]] = {
        image["id"]: [] for image in data["images"]
    }
    for item in data["annotations"]:
        name = names.get(item["category_id"])
        source = SourceClass(item["category_id"], None if name is None else str(name))
        x, y, width, height = item["bbox"]
        box = [x, y, x + width, y + height]
        objects[item["image_id"]].append((source, box, bool(item.get("iscrowd", 0))))
    images: dict[str, LabelledImage] = {}
    for image in data["images"]:
        key = image_key(image["file_name"])
        if key in images:
            raise DataError(f"{path}: two images are called {key!r}; file names must differ")
        images[key] = LabelledImage.of(objects[image["id"]], str(path), size=_size(image))
    return images


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width, where the file states them."""
    if "height" in image and "width" in image:
        return int(image["height"]), int(image["width"])
    return None
