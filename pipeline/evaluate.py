"""`irvis evaluate`: score COCO predictions that any program made."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import ConfigError, DataError
from eval.class_names import COCO_NAMES
from eval.coco import ground_truth_json
from eval.coco_files import GroundTruth, Prediction, read_ground_truth, read_predictions
from eval.evaluation import content_hash, evaluate_arm, to_json
from eval.labels import LabelSet
from pipeline.images import read_image
from pipeline.sources.image_folder import list_images


def evaluate(
    predictions: Path, labels: Path, *, images: Path | None, classes: Sequence[str]
) -> dict[str, Any]:
    """Score predictions against labels in both conventions.

    Args:
        predictions: COCO results. With a COCO file as labels, their image ids are that file's; with
            a folder of labels they are the images' names without suffix (`"00123"`, or the number
            123 as yolov5 writes it).
        labels: COCO json, such as a run's ``ground_truth.json``, or a folder of YOLO txt or VOC
            xml.
        images: The labelled images, for their sizes; needed with a folder of labels.
        classes: Names of the classes that count, as the labels call them; ids differ between tools.

    Returns:
        ``detection`` as in ``results.json``, and what it was computed from.

    Raises:
        errors.IrvisError: A file is missing or wrong.
    """
    if not predictions.is_file():
        raise DataError(f"{predictions}: no such file; give a run's predictions/<arm>.json")
    if labels.is_dir():
        ground_truth = _from_folder(labels, images)
        found = _by_name(predictions, ground_truth)
    else:
        ground_truth = read_ground_truth(labels)
        found = read_predictions(predictions, ground_truth)
    counted = _ids(ground_truth, classes)
    result = evaluate_arm(ground_truth, found, counted)
    return {
        "detection": to_json(result),
        "protocol": {
            "classes": counted,
            "images": len(ground_truth["images"]),
            "ground_truth_sha256": content_hash(ground_truth),
        },
    }


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write results as JSON.

    Raises:
        DataError: The file can't be written.
    """
    try:
        path.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror})") from error


def _from_folder(labels: Path, images: Path | None) -> GroundTruth:
    """A folder of labels as a COCO data set; ids count the images in order."""
    if images is None:
        raise ConfigError("--images is missing: a folder of labels doesn't say the images' sizes")
    label_set = LabelSet.open(labels, names=COCO_NAMES)
    files = list_images(images)
    label_set.check_keys(files)
    entries, parts = [], []
    for key, path in files.items():
        height, width = read_image(path).shape[:2]
        entries.append((key, path.name, height, width))
        parts.append(label_set.get(key, (height, width)))
    return ground_truth_json(entries, parts, COCO_NAMES)


def _ids(ground_truth: GroundTruth, classes: Sequence[str]) -> tuple[int, ...]:
    """The ids of these classes in the ground truth."""
    known = {entry["name"].casefold(): entry["id"] for entry in ground_truth["categories"]}
    found = tuple(known[name.casefold()] for name in classes if name.casefold() in known)
    if not found:
        raise ConfigError(
            f"--classes: the labels have none of {', '.join(classes)}; "
            f"theirs are {', '.join(entry['name'] for entry in ground_truth['categories'])}"
        )
    return found


def _by_name(path: Path, ground_truth: GroundTruth) -> list[Prediction]:
    """Predictions whose image ids are the images' names."""
    ids: dict[str | int, int] = {}
    for image in ground_truth["images"]:
        key = image.get("key", "")
        ids[key] = image["id"]
        if key.isdecimal() and ids.setdefault(int(key), image["id"]) != image["id"]:
            raise DataError(
                f"{path}: image_id {int(key)} fits several images; write names in quotes"
            )
    return read_predictions(path, ground_truth, image_ids=ids)
