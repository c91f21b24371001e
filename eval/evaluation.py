"""An arm's detections judged in both conventions, from the files that a run writes."""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.average_precision import ClassResult, CurveEnd, YoloResult, evaluate_yolo
from eval.coco import CocoClassResult, CocoResult, detections_of, evaluate_coco, labels_of
from eval.coco_files import GroundTruth, Prediction, image_key

Row = dict[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class ArmResult:
    """Both conventions' numbers for one arm, and the names of the classes that count."""

    yolo: YoloResult
    coco: CocoResult
    names: dict[int, str]


def evaluate_arm(
    ground_truth: GroundTruth,
    predictions: Sequence[Prediction],
    classes: Collection[int] | None = None,
    *,
    curve_end: CurveEnd = "one",
) -> ArmResult:
    """Score one arm.

    Args:
        ground_truth: As ``eval.coco_files.read_ground_truth`` gives it.
        predictions: As ``eval.coco_files.read_predictions`` gives them.
        classes: Ids of the classes that count; None for all of the ground truth's.
        curve_end: The YOLO curve's end, see ``eval.average_precision.average_precision``.
    """
    names = {
        entry["id"]: entry["name"]
        for entry in ground_truth["categories"]
        if classes is None or entry["id"] in classes
    }
    counted: GroundTruth = {
        "images": ground_truth["images"],
        "annotations": [a for a in ground_truth["annotations"] if a["category_id"] in names],
        "categories": [c for c in ground_truth["categories"] if c["id"] in names],
    }
    mine = [item for item in predictions if item["category_id"] in names]
    return ArmResult(
        yolo=evaluate_yolo(detections_of(counted, mine), labels_of(counted), curve_end=curve_end),
        coco=evaluate_coco(counted, mine),
        names=names,
    )


def to_json(result: ArmResult) -> dict[str, Any]:
    """The ``detection`` part of an arm in ``results.json``; null where a number isn't defined."""
    return {
        "yolo": _named(result.yolo, result.names),
        "coco": _named(result.coco, result.names),
        "ci95": {},
    }


def table_rows(arm: str, result: ArmResult) -> list[Row]:
    """The rows of one arm in ``results.csv``: ``all``, then each class that is in the labels."""
    yolo, coco = result.yolo, result.coco
    rows = [_row(arm, "all", yolo, coco)]
    for class_id, mine in yolo.per_class.items():
        rows.append(_row(arm, result.names[class_id], mine, coco.per_class[class_id]))
    return rows


def content_hash(ground_truth: GroundTruth) -> str:
    """SHA-256 of what is judged: image keys, sizes, labels and ignore regions, in any order.

    Ids, file names' suffixes and class names don't enter; classes do, by id.
    """
    labels: dict[int, list[list[Any]]] = {image["id"]: [] for image in ground_truth["images"]}
    for item in ground_truth["annotations"]:
        box = [float(value) for value in item["bbox"]]
        labels[item["image_id"]].append([item["category_id"], int(item["iscrowd"]), box])
    content = sorted(
        [
            image.get("key", image_key(image["file_name"])),
            image["height"],
            image["width"],
            sorted(labels[image["id"]]),
        ]
        for image in ground_truth["images"]
    )
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _row(
    arm: str, name: str, yolo: YoloResult | ClassResult, coco: CocoResult | CocoClassResult
) -> Row:
    return {
        "arm": arm,
        "class": name,
        "images": yolo.images,
        "labels": yolo.labels,
        "precision": yolo.precision,
        "recall": yolo.recall,
        "map50": yolo.map50,
        "map50_95": yolo.map50_95,
        "coco_map50": coco.map50,
        "coco_map50_95": coco.map50_95,
    }


def _named(result: YoloResult | CocoResult, names: dict[int, str]) -> dict[str, Any]:
    """The result as JSON, classes by name."""
    data = asdict(result)
    data["per_class"] = {names[class_id]: part for class_id, part in data["per_class"].items()}
    return data
