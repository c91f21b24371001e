"""Predictions that any program made: files and folders, arm by arm.

Read are COCO results (json), YOLO txt with a confidence (a folder), and a folder with either for
each arm.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from eval.class_reading import ClassId
from eval.coco_checks import check_entries, foreign, short, whole
from eval.coco_files import GroundTruth, prediction_list, prediction_problem
from eval.evaluation import key_of
from eval.image_names import ImageNames
from eval.label_files import label_paths, nfc
from eval.plain_entries import are_plain
from eval.predictions import Predictions
from eval.system_files import is_system_file
from eval.yolo_files import read_yolo_predictions

_LABELS = "labels"  # the folder that detect.py makes below that of its run


@dataclass(frozen=True, slots=True, eq=False)
class ForeignPredictions:
    """One arm's predictions with the classes of their file.

    Attributes:
        found: The predictions; ``category_id`` is the place of the class in ``classes``.
        classes: Each class once, in the order of the file: a number or a text.
    """

    found: Predictions
    classes: tuple[ClassId, ...]

    def counts(self, chosen: NDArray[np.bool_] | slice = slice(None)) -> dict[ClassId, int]:
        """How many of the ``chosen`` predictions (n,) are of each class, those with any."""
        numbers = np.bincount(self.found.category_id[chosen], minlength=len(self.classes))
        return {c: n for c, n in zip(self.classes, numbers.tolist(), strict=True) if n}


def find_arms(predictions: Path) -> dict[str, Path]:
    """The file or folder of each arm.

    Raises:
        errors.DataError: There is none.
    """
    if predictions.is_file():
        return {predictions.stem: predictions}
    if predictions.is_dir():
        inside = sorted(path for path in predictions.iterdir() if not is_system_file(path))
        files = [path for path in inside if path.suffix.lower() == ".json" and path.is_file()]
        if files:
            return {path.stem: path for path in files}
        if any(path.suffix.lower() == ".txt" for path in inside):
            return {_arm_name(predictions): predictions}
        folders = [path for path in inside if path.is_dir() and _holds_predictions(path)]
        if len(folders) == 1 and folders[0].name == _LABELS:
            return {_arm_name(predictions): folders[0]}
        if folders:
            return {path.name: _of_arm(path) for path in folders}
    raise DataError(
        f"{predictions}: no prediction file; give a run's predictions/<arm>.json, a folder of "
        "YOLO txt with confidences, or a folder with either for each arm"
    )


def read_arm(
    path: Path, ground_truth: GroundTruth, *, ids: bool
) -> tuple[ForeignPredictions, list[str]]:
    """The predictions of one arm, classes as the file has them.

    Args:
        path: COCO results or a folder of YOLO txt.
        ground_truth: What they are of.
        ids: Whether the images' ids are known to who made them; else images go by their names.

    Returns:
        The predictions with the ground truth's image ids, and what was left out.

    Raises:
        errors.DataError: A file is malformed, or of images that aren't there.
    """
    names = ImageNames(ground_truth, ids=ids)
    return _from_txt(path, ground_truth, names) if path.is_dir() else _from_json(path, names)


def _from_json(path: Path, names: ImageNames) -> tuple[ForeignPredictions, list[str]]:
    entries = prediction_list(path)

    def problem(item: dict[str, Any]) -> str | None:
        item["category_id"], given = whole(item.get("category_id")), item.get("category_id")
        if item["category_id"] is None:
            return f"category_id {short(given)} must be a whole number or a name"
        image_id = whole(item.get("image_id"))
        if image_id is None:
            return foreign("image_id", item.get("image_id"), names.some)
        item["image_id"] = image_id
        return prediction_problem(item)

    if not are_plain(entries):
        check_entries(path, "", entries, problem)
    called = dict.fromkeys(item["image_id"] for item in entries)
    there = {image_id for image_id in called if names.has(image_id)}
    kept = entries
    if len(there) < len(called):
        kept = [item for item in entries if item["image_id"] in there]
    strays = dict.fromkeys(str(image_id) for image_id in called if image_id not in there)
    left_out = _left_out(path, list(strays), names.some, fit=bool(kept))
    images = [item["image_id"] for item in kept]
    found, classes = _numbered(
        [item["category_id"] for item in kept],
        np.array([item["bbox"] for item in kept], np.float64),
        np.array([item["score"] for item in kept], np.float64),
    )
    del entries, kept  # ten times the memory of the columns
    image_id = names.resolve(path, images, found)
    return ForeignPredictions(replace(found, image_id=image_id), classes), left_out


def _from_txt(
    folder: Path, ground_truth: GroundTruth, names: ImageNames
) -> tuple[ForeignPredictions, list[str]]:
    images = {image["id"]: image for image in ground_truth["images"]}
    image_ids, given, boxes, scores = array("q"), array("q"), array("d"), array("d")
    strays: list[str] = []
    of: dict[int, Path] = {}
    paths = label_paths(folder, ".txt")
    for path in paths:
        key = nfc(path.relative_to(folder).with_suffix("").as_posix())
        image_id = names.named(key, path)
        if image_id is None:
            strays.append(key)
            continue
        if image_id in of:
            raise DataError(f"{path}: {of[image_id]} is of the same image; remove one of them")
        of[image_id] = path
        width, height = images[image_id]["width"], images[image_id]["height"]
        for line in read_yolo_predictions(path):
            x1, y1, x2, y2 = line.xyxy
            boxes.extend((x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height))
            image_ids.append(image_id)
            given.append(line.class_id)
            scores.append(line.score)
    known = [key_of(image) for image in ground_truth["images"]]
    left_out = _left_out(folder, strays, known, fit=bool(of))
    found, classes = _numbered(given, np.array(boxes, np.float64), np.array(scores, np.float64))
    found = replace(found, image_id=np.array(image_ids, np.int64))
    return ForeignPredictions(found, classes), left_out


def _numbered(
    given: Sequence[ClassId], boxes: NDArray[np.float64], score: NDArray[np.float64]
) -> tuple[Predictions, tuple[ClassId, ...]]:
    """Predictions by the place of their class among all, and the classes; image ids are 0.

    Args:
        given: Class of each of n predictions.
        boxes: (n, 4) or as many numbers: left, top, width, height.
        score: (n,).
    """
    places = {class_id: place for place, class_id in enumerate(dict.fromkeys(given))}
    category_id = np.array([places[class_id] for class_id in given], np.int64)
    nowhere = np.zeros(len(score), np.int64)
    return Predictions(nowhere, category_id, boxes.reshape(-1, 4), score), tuple(places)


def _left_out(
    path: Path, strays: Sequence[str], known: Sequence[str | int], *, fit: bool
) -> list[str]:
    """A line on predictions of images that aren't there; an error where none fits."""
    if not strays:
        return []
    some = ", ".join(name[:40] for name in strays[:3]) + ", ..." * (len(strays) > 3)
    if not fit:
        called = ", ".join(str(name)[:40] for name in known[:3])
        raise DataError(
            f"{path}: none of its {len(strays)} image(s) ({some}) is there; the labels' are called "
            f"{called} and so on: give the predictions of these images, with their names or ids"
        )
    return [f"{path}: predictions of {len(strays)} image(s) that are not there left out ({some})"]


def _arm_name(folder: Path) -> str:
    """The name of a folder of txt; what detect.py calls `labels` has the name above it."""
    here = folder.resolve()
    return here.parent.name if here.name == _LABELS and here.parent.name else here.name


def _of_arm(folder: Path) -> Path:
    """What an arm's folder holds: one json, else txt."""
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == ".json" and path.is_file() and not is_system_file(path)
    ]
    if len(files) > 1:
        raise DataError(
            f"{folder}: holds {len(files)} json files ({files[0].name}, {files[1].name}); "
            "leave one for each arm"
        )
    return files[0] if files else folder


def _holds_predictions(folder: Path) -> bool:
    return bool(label_paths(folder, ".txt")) or any(
        path.suffix.lower() == ".json" and not is_system_file(path) for path in folder.iterdir()
    )
