"""The JSON forms of ground truth and predictions (COCO's), and reading them with every check."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NotRequired, TypedDict, cast, get_args

from common.errors import DataError
from common.files import load_json as load_json
from eval.coco_checks import (
    box_problem,
    check_dataset,
    check_entries,
    foreign,
    is_int,
    numbers,
    short,
)
from eval.light import Light


class ImageEntry(TypedDict):
    """One image, sizes in pixels; irvis adds the pair's ``key`` and ``light``, day or night.

    ``given_id`` is what the file calls the image, where that is a text.
    """

    id: int
    key: NotRequired[str]
    light: NotRequired[Light]
    given_id: NotRequired[int | str]
    file_name: str
    width: int
    height: int


class CategoryEntry(TypedDict):
    """One class that counts."""

    id: int
    name: str
    given_id: NotRequired[int | str]


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


def image_key(file_name: str) -> str:
    """An image's path without its suffix, with forward slashes."""
    path = PurePosixPath(file_name.replace("\\", "/"))
    return path.with_suffix("").as_posix() if path.name else path.as_posix()


def read_ground_truth(
    path: Path,
    class_names: Mapping[int, str] | None = None,
    size_of: Callable[[str], tuple[int, int]] | None = None,
) -> GroundTruth:
    """Read a ``ground_truth.json``: any COCO data set that states its image sizes and classes.

    Annotations are numbered anew where their ids aren't whole numbers from 1, each used once: the
    ids mean nothing. Categories of one name are one class.

    Args:
        path: The file.
        class_names: Names of the classes by id, for a file without categories.
        size_of: Height and width of an image by its ``file_name``, for images without a size.

    Raises:
        errors.DataError: It is missing, malformed, or refers to ids that it lacks; the text names
            the entry and its line.
    """
    data = check_dataset(path, load_json(path))
    for image in data["images"]:
        if size_of is not None and not {"width", "height"} <= image.keys():
            image["height"], image["width"] = size_of(image["file_name"])
    check_entries(path, "images", data["images"], _truth_problem)
    if not data["images"]:
        raise DataError(f"{path}: has no images; there is nothing to score")
    if not data.get("categories") and class_names is not None:
        data["categories"] = [{"id": i, "name": name} for i, name in sorted(class_names.items())]
    categories = data.get("categories")
    if categories is None or not all(isinstance(entry.get("name"), str) for entry in categories):
        raise DataError(
            f"{path}: classes lack names; add categories of id and name, or give "
            "irvis evaluate --class-names FILE"
        )
    classes = _merge_names(data)
    ids = [item.get("id") for item in data["annotations"]]

    def problem(item: dict[str, Any]) -> str | None:
        if item["category_id"] not in classes:
            return foreign("category_id", item["category_id"], classes)
        item["category_id"] = classes[item["category_id"]]
        area = item.setdefault("area", item["bbox"][2] * item["bbox"][3])
        if numbers([area], 1) is None or area < 0:
            return f"area {short(area)} must be a number of at least 0"
        item.setdefault("iscrowd", 0)
        return None

    check_entries(path, "annotations", data["annotations"], problem)
    # pycocotools writes 0 for "matched nothing", so an object of id 0 could never be found.
    if not all(is_int(number) and number > 0 for number in ids) or len(set(ids)) < len(ids):
        for number, item in enumerate(data["annotations"], 1):
            item["id"] = number
    return cast(GroundTruth, data)


def _merge_names(data: dict[str, Any]) -> dict[int, int]:
    """Make categories of one name one; the id that is kept, by every id."""
    kept: dict[str, int] = {}
    used = {item["category_id"] for item in data["annotations"]}
    for entry in sorted(data["categories"], key=lambda entry: entry["id"] not in used):
        kept.setdefault(entry["name"], entry["id"])
    classes = {entry["id"]: kept[entry["name"]] for entry in data["categories"]}
    data["categories"] = [
        entry for entry in data["categories"] if classes[entry["id"]] == entry["id"]
    ]
    return classes


def read_predictions(
    path: Path, ground_truth: GroundTruth, *, image_ids: Mapping[str | int, int] | None = None
) -> list[Prediction]:
    """Read a ``predictions/<arm>.json`` of a run, made for the images and classes of its truth.

    Predictions of other programs are read by ``eval.prediction_files``.

    Args:
        path: A list of COCO results.
        ground_truth: What they are of.
        image_ids: The ground truth's image ids by what the file calls the images, where it goes by
            something else.

    Returns:
        The predictions, with the ground truth's image ids.

    Raises:
        errors.DataError: It is missing or malformed, an entry is of another image or class, its
            score isn't in [0, 1] or its box isn't one; the text names the entry and its line.
    """
    data = prediction_list(path)
    if image_ids is None:
        image_ids = {image["id"]: image["id"] for image in ground_truth["images"]}
    class_ids = [category["id"] for category in ground_truth["categories"]]

    def problem(item: dict[str, Any]) -> str | None:
        image_id, class_id = item.get("image_id"), item.get("category_id")
        if not (is_int(image_id) or isinstance(image_id, str)) or image_id not in image_ids:
            return foreign("image_id", image_id, image_ids)
        if not is_int(class_id) or class_id not in class_ids:
            return foreign("category_id", class_id, class_ids)
        return prediction_problem(item)

    check_entries(path, "", data, problem)
    for item in data:
        item["image_id"] = image_ids[item["image_id"]]
    return cast(list[Prediction], data)


def prediction_list(path: Path) -> list[dict[str, Any]]:
    """The entries of a file of COCO results.

    Raises:
        errors.DataError: It is no list of objects.
    """
    data = load_json(path)
    if not isinstance(data, list):
        raise DataError(f"{path}: expected a list of predictions, got {type(data).__name__}")
    no_object = "no object; write image_id, category_id, bbox and score"
    if not set(map(type, data)) <= {dict}:
        check_entries(path, "", data, lambda item: None if isinstance(item, dict) else no_object)
    return data


def prediction_problem(item: Mapping[str, Any]) -> str | None:
    """What is wrong with the score or the box of an entry."""
    score = numbers([item.get("score")], 1)
    if score is None or not 0 <= score[0] <= 1:
        return f"score {short(item.get('score'))} must be a number in [0, 1]"
    return box_problem(item.get("bbox"), flat=True)


def _truth_problem(image: dict[str, Any]) -> str | None:
    if "width" not in image or "height" not in image:
        return "no size; add width and height, or give irvis evaluate --images FOLDER"
    image["width"], image["height"] = int(image["width"]), int(image["height"])
    if not isinstance(image.get("key", ""), str):
        return f"key {short(image['key'])} must be a text"
    if image.get("light", "day") not in get_args(Light):
        return f"light {short(image['light'])} must be day or night"
    return None
