"""What a COCO file must have, entry by entry; what is wrong is named with its line.

Ids are brought to whole numbers: 1.0 is 1, and where any id of a list is a text, all are numbered
anew and the file's own is kept as ``given_id``.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

from common.errors import DataError

Ids = dict[int | str, int]
GIVEN = "given_id"
LARGEST = 1e15  # more is no coordinate; NaN compares false
_BETWEEN = " \t\n\r,:"  # what stands between the values of a JSON document


def numbers(value: object, count: int) -> list[float] | None:
    """``value`` as floats if it is a list of ``count`` finite numbers, else None."""
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(type(v) in (int, float) and abs(v) < LARGEST for v in value):
        return None
    return [float(v) for v in value]


def whole(value: object) -> int | str | None:
    """An id: a whole number, also one that went through pandas (1.0), or a text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if is_int(value) or (isinstance(value, str) and value):
        return value
    return None


def is_int(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number that every JSON reader keeps."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def short(value: object) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"


def check_entries(
    path: Path, name: str, entries: Iterable[Any], problem: Callable[[Any], str | None]
) -> None:
    """Refuse the first entry with a problem, by its line; without a name the list is the file.

    Raises:
        errors.DataError: An entry has a problem.
    """
    for index, entry in enumerate(entries):
        text = problem(entry)
        if text is not None:
            line = _line(path.read_text(encoding="utf-8-sig"), name, index)
            raise DataError(f"{path}:{line}: {name}[{index}]: {text}")


def check_dataset(path: Path, data: object) -> dict[str, Any]:
    """Check what every COCO data set must have: images, annotations and how they refer.

    Args:
        path: The file.
        data: What was read from it; its ids are made whole numbers, in place.

    Raises:
        errors.DataError: Something is missing or wrong; the text names the entry and its line.
    """
    if not isinstance(data, dict):
        raise DataError(f"{path}: no COCO file: expected an object, got {type(data).__name__}")
    for name in ("images", "annotations"):
        if not _is_objects(data.get(name)):
            raise DataError(f"{path}: no COCO file: it needs a list of objects {name!r}")
    if not _is_objects(data.get("categories", [])):
        raise DataError(f"{path}: categories must be a list of objects with id and name")
    images = _ids(path, "images", data["images"])
    classes = _ids(path, "categories", data.get("categories", []))
    check_entries(path, "images", data["images"], _image_problem)
    check_entries(
        path,
        "annotations",
        data["annotations"],
        lambda item: _annotation_problem(item, images, classes),
    )
    return data


def box_problem(value: object, *, flat: bool) -> str | None:
    """What is wrong with a box; ``flat`` ones have no width or height."""
    box = numbers(value, 4)
    if box is not None and box[2] >= 0 and box[3] >= 0 and (flat or box[2] * box[3] > 0):
        return None
    sizes = "not negative" if flat else "over 0"
    return (
        f"bbox {short(value)} must be four numbers, left, top, width, height in pixels, "
        f"sizes {sizes}"
    )


def foreign(name: str, value: object, known: Collection[str | int]) -> str:
    """That an id is none of those that are known."""
    text = ", ".join(str(k)[:40] for k in islice(known, 6)) + (", ..." if len(known) > 6 else "")
    return (
        f"{name} {short(value)} is not in the ground truth, which has {text or 'none'}; correct it "
        "or remove the entry"
    )


def _line(text: str, name: str, index: int) -> int:
    """The line, from 1, on which an entry begins; without a name the list is the file."""

    def skip(at: int) -> int:
        while text[at] in _BETWEEN:
            at += 1
        return at

    decode = json.JSONDecoder().raw_decode
    start = skip(0)
    if name:
        at = skip(start + 1)
        while text[at] != "}":
            found, at = decode(text, at)
            at = skip(at)
            if found == name:
                start = at  # of equal names the last one counts
            at = skip(decode(text, at)[1])
    at = skip(start + 1)
    for _ in range(index):
        at = skip(decode(text, at)[1])
    return text.count("\n", 0, at) + 1


def _image_problem(image: Mapping[str, Any]) -> str | None:
    if not isinstance(image.get("file_name"), str) or not image["file_name"]:
        return "no file_name; add the image's path"
    for name in ("width", "height"):
        if name in image and not (is_int(whole(image[name])) and image[name] > 0):
            return f"{name} {short(image[name])} must be a whole number of pixels"
    return None


def _annotation_problem(item: dict[str, Any], images: Ids, classes: Ids) -> str | None:
    image = whole(item.get("image_id"))
    if image is None or image not in images:
        return foreign("image_id", item.get("image_id"), images)
    item["image_id"] = images[image]
    source = whole(item.get("category_id"))
    if source is None or (isinstance(source, str) and source not in classes):
        return f"category_id {short(item.get('category_id'))} must be a whole number"
    item["category_id"] = classes.get(source, source)
    for name in ("iscrowd", "ignore"):
        if item.get(name, 0) not in (0, 1):
            return f"{name} {short(item[name])} must be 0 or 1"
    if "iscrowd" in item or "ignore" in item:  # CrowdHuman's and LVIS' converters write ignore
        item["iscrowd"] = int(item.get("iscrowd", 0) or item.get("ignore", 0))
    return box_problem(item.get("bbox"), flat=False)


def _ids(path: Path, name: str, entries: list[dict[str, Any]]) -> Ids:
    """The ids of the entries by the file's own, in their order, each used once."""
    given: list[int | str] = []
    seen: set[int | str] = set()

    def problem(entry: Mapping[str, Any]) -> str | None:
        value = whole(entry.get("id"))
        if value is None or value in seen:
            return f"id {short(entry.get('id'))} must be a whole number or a text, used once"
        seen.add(value)
        given.append(value)
        return None

    check_entries(path, name, entries, problem)
    texts = any(isinstance(value, str) for value in given)
    ids = {value: n if texts else int(value) for n, value in enumerate(given, 1)}
    for entry, value in zip(entries, given, strict=True):
        if texts:
            entry[GIVEN] = value
        entry["id"] = ids[value]
    return ids


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
