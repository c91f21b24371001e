"""The JSON forms of ground truth and predictions (COCO's), and reading them with every check."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired, TypedDict, TypeGuard, cast, get_args

from common.errors import DataError
from common.files import load_json as load_json
from eval.light import Light


class ImageEntry(TypedDict):
    """One image, sizes in pixels; irvis adds the pair's ``key`` and ``light``, day or night."""

    id: int
    key: NotRequired[str]
    light: NotRequired[Light]
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
_BETWEEN = " \t\n\r,:"  # what stands between the values of a JSON document


def image_key(file_name: str) -> str:
    """An image's path without its suffix, with forward slashes."""
    path = PurePosixPath(file_name.replace("\\", "/"))
    return path.with_suffix("").as_posix() if path.name else path.as_posix()


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
            the entry and its line.
    """
    data = check_dataset(path, load_json(path))
    _check_entries(path, "images", data["images"], _truth_problem)
    if not data["images"]:
        raise DataError(f"{path}: has no images; there is nothing to score")
    categories = data.get("categories")
    if categories is None or not all(isinstance(entry.get("name"), str) for entry in categories):
        raise DataError(f"{path}: classes lack names; add categories of id and name")
    if len({entry["name"] for entry in categories}) < len(categories):
        raise DataError(f"{path}: two categories have the same name; give each its own")
    known = [entry["id"] for entry in categories]
    seen: set[int] = set()

    def problem(item: dict[str, Any]) -> str | None:
        if item["category_id"] not in known:
            return _foreign("category_id", item["category_id"], known)
        # pycocotools writes 0 for "matched nothing", so an object of id 0 could never be found.
        number = item.get("id")
        if not _is_int(number) or number < 1 or number in seen:
            return f"id {number!r} must be a whole number from 1, used once"
        seen.add(number)
        area = item.setdefault("area", item["bbox"][2] * item["bbox"][3])
        if numbers([area], 1) is None or area < 0:
            return f"area {area!r} must be a number of at least 0"
        item.setdefault("iscrowd", 0)
        return None

    _check_entries(path, "annotations", data["annotations"], problem)
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
            score isn't in [0, 1] or its box isn't one; the text names the entry and its line.
    """
    data = load_json(path)
    if not isinstance(data, list):
        raise DataError(f"{path}: expected a list of predictions, got {type(data).__name__}")
    if image_ids is None:
        image_ids = {image["id"]: image["id"] for image in ground_truth["images"]}
    class_ids = [category["id"] for category in ground_truth["categories"]]
    _check_entries(path, "", data, lambda item: _prediction_problem(item, image_ids, class_ids))
    for item in data:
        item["image_id"] = image_ids[item["image_id"]]
    return cast(list[Prediction], data)


def check_dataset(path: Path, data: object) -> dict[str, Any]:
    """Check what every COCO data set must have: images, annotations and how they refer.

    Args:
        path: The file.
        data: What ``load_json`` read from it.

    Raises:
        errors.DataError: Something is missing or wrong; the text names the entry and its line.
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
    _check_entries(path, "images", data["images"], _image_problem)
    _check_entries(
        path, "annotations", data["annotations"], lambda item: _annotation_problem(item, images)
    )
    return data


def _check_entries(
    path: Path, field: str, entries: Iterable[Any], problem: Callable[[Any], str | None]
) -> None:
    """Refuse the first entry with a problem, by its line; without a field the list is the file."""
    for index, entry in enumerate(entries):
        text = problem(entry)
        if text is not None:
            line = _line(path.read_text(encoding="utf-8-sig"), field, index)
            raise DataError(f"{path}:{line}: {field}[{index}]: {text}")


def _line(text: str, field: str, index: int) -> int:
    """The line, from 1, on which an entry begins; without a field the list is the file."""

    def skip(at: int) -> int:
        while text[at] in _BETWEEN:
            at += 1
        return at

    decode = json.JSONDecoder().raw_decode
    start = skip(0)
    if field:
        at = skip(start + 1)
        while text[at] != "}":
            name, at = decode(text, at)
            at = skip(at)
            if name == field:
                start = at  # of equal names the last one counts
            at = skip(decode(text, at)[1])
    at = skip(start + 1)
    for _ in range(index):
        at = skip(decode(text, at)[1])
    return text.count("\n", 0, at) + 1


def _prediction_problem(
    item: object, image_ids: Collection[str | int], class_ids: Collection[int]
) -> str | None:
    if not isinstance(item, dict):
        return "no object; write image_id, category_id, bbox and score"
    image_id, class_id = item.get("image_id"), item.get("category_id")
    if not (_is_int(image_id) or isinstance(image_id, str)) or image_id not in image_ids:
        return _foreign("image_id", image_id, image_ids)
    if not _is_int(class_id) or class_id not in class_ids:
        return _foreign("category_id", class_id, class_ids)
    score = numbers([item.get("score")], 1)
    if score is None or not 0 <= score[0] <= 1:
        return f"score {item.get('score')!r} must be a number in [0, 1]"
    return _box_problem(item.get("bbox"), flat=True)


def _image_problem(image: Mapping[str, Any]) -> str | None:
    if not isinstance(image.get("file_name"), str) or not image["file_name"]:
        return "no file_name; add the image's path"
    for field in ("width", "height"):
        if field in image and not (_is_int(image[field]) and image[field] > 0):
            return f"{field} {image[field]!r} must be a whole number of pixels"
    return None


def _truth_problem(image: dict[str, Any]) -> str | None:
    if "width" not in image or "height" not in image:
        return "no size; add width and height"
    if not isinstance(image.get("key", ""), str):
        return f"key {image['key']!r} must be a text"
    if image.get("light", "day") not in get_args(Light):
        return f"light {image['light']!r} must be day or night"
    return None


def _annotation_problem(item: Mapping[str, Any], images: Collection[int]) -> str | None:
    if not _is_int(item.get("image_id")) or item["image_id"] not in images:
        return _foreign("image_id", item.get("image_id"), images)
    if not _is_int(item.get("category_id")):
        return f"category_id {item.get('category_id')!r} must be a whole number"
    if item.get("iscrowd", 0) not in (0, 1):
        return f"iscrowd {item['iscrowd']!r} must be 0 or 1"
    return _box_problem(item.get("bbox"), flat=False)


def _box_problem(value: object, *, flat: bool) -> str | None:
    """What is wrong with a box; ``flat`` ones have no width or height."""
    box = numbers(value, 4)
    if box is not None and box[2] >= 0 and box[3] >= 0 and (flat or box[2] * box[3] > 0):
        return None
    sizes = "not negative" if flat else "over 0"
    return f"bbox {value!r} must be four numbers, left, top, width, height in pixels, sizes {sizes}"


def _ids(path: Path, field: str, entries: Iterable[Mapping[str, Any]]) -> Collection[int]:
    """The ids of the entries, in their order: whole numbers, each used once."""
    ids: dict[int, None] = {}

    def problem(entry: Mapping[str, Any]) -> str | None:
        value = entry.get("id")
        if not _is_int(value) or value in ids:
            return f"id {value!r} must be a whole number, used once"
        ids[value] = None
        return None

    _check_entries(path, field, entries, problem)
    return ids


def _foreign(field: str, value: object, known: Collection[str | int]) -> str:
    text = ", ".join(map(str, islice(known, 6))) + (", ..." if len(known) > 6 else "")
    return (
        f"{field} {value!r} is not in the ground truth, which has {text or 'none'}; correct it or "
        "remove the entry"
    )


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
