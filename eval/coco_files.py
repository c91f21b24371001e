"""The JSON forms of ground truth and predictions (COCO's), and reading them with every check."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired, TypedDict, TypeGuard, cast

from errors import DataError


class ImageEntry(TypedDict):
    """One image: ``key`` is irvis' addition, the pair's key; sizes in pixels."""

    id: int
    key: NotRequired[str]
    file_name: str
    width: int
    height: int


class CategoryEntry(TypedDict):
    """One class that counts."""

    id: int
    name: str


class AnnotationEntry(TypedDict):
    """One labelled object, ``bbox`` as left, top, width, height in pixels; a region if iscrowd."""

    id: int
    image_id: int
    category_id: int
    bbox: list[float]
    area: float
    iscrowd: int


class GroundTruth(TypedDict):
    """A COCO data set: what ``ground_truth.json`` holds."""

    images: list[ImageEntry]
    annotations: list[AnnotationEntry]
    categories: list[CategoryEntry]


class Prediction(TypedDict):
    """One detection: an entry of ``predictions/<arm>.json``, ``bbox`` as in the annotations."""

    image_id: int
    category_id: int
    bbox: list[float]
    score: float


_LARGEST = 1e15  # more is no coordinate; NaN compares false


def image_key(file_name: str) -> str:
    """An image's path without its suffix, with forward slashes."""
    path = PurePosixPath(file_name.replace("\\", "/"))
    return path.with_suffix("").as_posix() if path.name else path.as_posix()


def load_json(path: Path) -> object:
    """Parse a JSON file.

    Raises:
        errors.DataError: It is missing or malformed; the text names the line.
    """
    try:
        data: object = json.loads(path.read_text(encoding="utf-8-sig"))
        return data
    except FileNotFoundError as error:
        raise DataError(f"{path}: does not exist; give the path of a JSON file") from error
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not JSON ({error.msg}); repair the file or write it again"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error


def numbers(value: object, count: int) -> list[float] | None:
    """``value`` as floats if it is a list of ``count`` finite numbers, else None."""
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(type(v) in (int, float) and abs(v) < _LARGEST for v in value):
        return None
    return [float(v) for v in value]


def read_ground_truth(path: Path) -> GroundTruth:
    """Read a ``ground_truth.json``: any COCO data set that states its image sizes and classes.

    Raises:
        errors.DataError: It is missing, malformed, or refers to ids that it lacks; the text names
            the entry.
    """
    data = check_dataset(path, load_json(path))
    for index, image in enumerate(data["images"]):
        if "width" not in image or "height" not in image:
            raise DataError(f"{path}: images[{index}] states no size; add width and height")
    categories = data.get("categories")
    if categories is None or not all(isinstance(entry.get("name"), str) for entry in categories):
        raise DataError(f"{path}: classes lack names; add categories of id and name")
    if len({entry["name"] for entry in categories}) < len(categories):
        raise DataError(f"{path}: two categories have the same name; give each its own")
    known = {entry["id"] for entry in categories}
    seen: set[int] = set()
    for index, item in enumerate(data["annotations"]):
        where = f"{path}: annotations[{index}]"
        if item["category_id"] not in known:
            raise _foreign(where, "category_id", item["category_id"], sorted(known))
        # pycocotools writes 0 for "matched nothing", so an object of id 0 could never be found.
        number = item.get("id")
        if not _is_int(number) or number < 1 or number in seen:
            raise DataError(f"{where}: id {number!r} must be a whole number from 1, used once")
        seen.add(number)
        area = item.setdefault("area", item["bbox"][2] * item["bbox"][3])
        if numbers([area], 1) is None or area < 0:
            raise DataError(f"{where}: area {area!r} must be a number of at least 0")
        item.setdefault("iscrowd", 0)
    return cast(GroundTruth, data)


def read_predictions(
    path: Path, ground_truth: GroundTruth, *, image_ids: Mapping[str | int, int] | None = None
) -> list[Prediction]:
    """Read a ``predictions/<arm>.json``, made for the images and classes of ``ground_truth``.

    Args:
        path: A list of COCO results.
        ground_truth: What they are of.
        image_ids: The ground truth's image ids by what the file calls the images, where it goes by
            something else, such as file names.

    Returns:
        The predictions, with the ground truth's image ids.

    Raises:
        errors.DataError: It is missing or malformed, an entry is of another image or class, its
            score isn't in [0, 1] or its box isn't one; the text names the entry's index.
    """
    data = load_json(path)
    if not isinstance(data, list):
        raise DataError(f"{path}: expected a list of predictions, got {type(data).__name__}")
    if image_ids is None:
        image_ids = {image["id"]: image["id"] for image in ground_truth["images"]}
    class_ids: dict[str | int, int] = {
        category["id"]: category["id"] for category in ground_truth["categories"]
    }
    for index, item in enumerate(data):
        where = f"{path}: [{index}]"
        if not isinstance(item, dict):
            raise DataError(f"{where} is no object; write image_id, category_id, bbox and score")
        for field, ids in (("image_id", image_ids), ("category_id", class_ids)):
            value = item.get(field)
            if not (_is_int(value) or isinstance(value, str)) or value not in ids:
                raise _foreign(where, field, value, ids)
            item[field] = ids[value]
        score = numbers([item.get("score")], 1)
        if score is None or not 0 <= score[0] <= 1:
            raise DataError(f"{where}: score {item.get('score')!r} must be a number in [0, 1]")
        box = numbers(item.get("bbox"), 4)
        if box is None or box[2] < 0 or box[3] < 0:
            raise DataError(
                f"{where}: bbox {item.get('bbox')!r} must be four numbers, "
                "[left, top, width, height] in pixels, sizes not negative"
            )
    return cast(list[Prediction], data)


def check_dataset(path: Path, data: object) -> dict[str, Any]:
    """Check what every COCO data set must have: images, annotations and how they refer.

    Raises:
        errors.DataError: Something is missing or wrong; the text names the entry.
    """
    if not isinstance(data, dict):
        raise DataError(f"{path}: no COCO file: expected an object, got {type(data).__name__}")
    for field in ("images", "annotations"):
        if not _is_objects(data.get(field)):
            raise DataError(f"{path}: no COCO file: it needs a list of objects {field!r}")
    if not _is_objects(data.get("categories", [])):
        raise DataError(f"{path}: categories must be a list of objects with id and name")
    images = _ids(path, "images", data["images"])
    _ids(path, "categories", data.get("categories", []))
    for index, image in enumerate(data["images"]):
        where = f"{path}: images[{index}]"
        if not isinstance(image.get("file_name"), str) or not image["file_name"]:
            raise DataError(f"{where}: no file_name; add the image's path")
        for field in ("width", "height"):
            if field in image and not (_is_int(image[field]) and image[field] > 0):
                raise DataError(
                    f"{where}: {field} {image[field]!r} must be a whole number of pixels"
                )
    for index, item in enumerate(data["annotations"]):
        _check_annotation(f"{path}: annotations[{index}]", item, images)
    return data


def _check_annotation(where: str, item: Mapping[str, Any], images: set[int]) -> None:
    if not _is_int(item.get("image_id")) or item["image_id"] not in images:
        raise _foreign(where, "image_id", item.get("image_id"), sorted(images))
    if not _is_int(item.get("category_id")):
        raise DataError(f"{where}: category_id {item.get('category_id')!r} must be a whole number")
    if item.get("iscrowd", 0) not in (0, 1):
        raise DataError(f"{where}: iscrowd {item['iscrowd']!r} must be 0 or 1")
    box = numbers(item.get("bbox"), 4)
    if box is None or box[2] <= 0 or box[3] <= 0:
        raise DataError(
            f"{where}: bbox {item.get('bbox')!r} must be four numbers, [left, top, width, height] "
            "in pixels, with a size; correct or remove it"
        )


def _ids(path: Path, field: str, entries: Iterable[Mapping[str, Any]]) -> set[int]:
    """The ids of the entries: whole numbers, each used once."""
    ids: set[int] = set()
    for index, entry in enumerate(entries):
        value = entry.get("id")
        if not _is_int(value) or value in ids:
            raise DataError(
                f"{path}: {field}[{index}]: id {value!r} must be a whole number, used once"
            )
        ids.add(value)
    return ids


def _foreign(where: str, field: str, value: object, known: Iterable[str | int]) -> DataError:
    some = list(known)
    text = ", ".join(map(str, some[:6])) + (", ..." if len(some) > 6 else "")
    return DataError(
        f"{where}: {field} {value!r} is not in the ground truth, which has {text or 'none'}; "
        "correct it or remove the entry"
    )


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
