"""An arm's detections judged on its own, from the files that a run writes."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval import curves
from eval.average_precision import ClassResult, YoloResult, summarize
from eval.coco_files import GroundTruth, Prediction
from eval.coco_scores import CocoClassResult, CocoResult, evaluate_coco
from eval.columns import Columns, places
from eval.confusion import confusion_matrix
from eval.light import Light
from eval.matches import Matches, match_columns
from eval.miss_rate import log_average_miss_rate, pedestrian_miss_rate
from eval.operating_points import OperatingPoint, at_confidence, confidence_at
from eval.predictions import Predictions
from eval.tide import TideResult, tide
from eval.truth import Truth, edges
from eval.truth import key_of as key_of

Row = dict[str, str | int | float | None]


@dataclass(frozen=True, slots=True, eq=False)
class ArmResult:
    """What can be said of one arm without the others.

    Attributes:
        yolo: All images in the YOLO convention.
        coco: The same in COCO's.
        light: The images by day and those at night as if they were all, YOLO convention; only
            lights that images are known to have.
        operating_points: At ``operating_points.CONFIDENCE``, and at its false positives an image.
        miss_rate: Log-average miss rate by class id; classes that are in the labels.
        errors: TIDE's error types.
        confusion: int64 (c + 1, c + 1), see ``eval.confusion``; classes in the order of ``names``.
        names: The classes that count, name by id.
        matches: What the above and the comparisons of arms are made from.
        label_light: Of each label's image, m entries; None where it isn't known.
        reasonable: By class id, ``pedestrian_miss_rate`` of ``all`` images, by ``day`` and at
            ``night``; None where it wasn't asked for.
    """

    yolo: YoloResult
    coco: CocoResult
    light: Mapping[str, YoloResult]
    operating_points: tuple[OperatingPoint, OperatingPoint]
    miss_rate: Mapping[int, float | None]
    errors: TideResult
    confusion: NDArray[np.int64]
    names: dict[int, str]
    matches: Matches
    label_light: Sequence[Light | None]
    reasonable: Mapping[int, Mapping[str, float | None]] | None = None


def evaluate_arm(
    ground_truth: GroundTruth | Truth,
    predictions: Predictions | Sequence[Prediction],
    classes: Collection[int] | None = None,
    *,
    reasonable: bool = False,
) -> ArmResult:
    """Score one arm.

    Args:
        ground_truth: As ``eval.coco_files.read_ground_truth`` gives it, or as columns.
        predictions: As columns, or as ``eval.coco_files.read_predictions`` gives them.
        classes: Ids of the classes that count; None for all of the ground truth's. Columns have
            only these already.
        reasonable: Whether the ground truth is KAIST's reasonable subset, for its miss rate.
    """
    truth, found = Truth.of(ground_truth, classes), Predictions.of(predictions)
    counts = np.isin(found.category_id, list(truth.names))
    mine = found if counts.all() else found[counts]
    columns = _columns(truth, mine)
    matches, lights = match_columns(columns), truth.lights
    return ArmResult(
        yolo=summarize(matches),
        coco=evaluate_coco(truth, mine),
        light={
            light: summarize(matches.of_images(np.array([mine == light for mine in lights])))
            for light in ("day", "night")
            if light in lights
        },
        operating_points=(at_confidence(matches), at_confidence(matches, confidence_at(matches))),
        miss_rate={
            class_id: log_average_miss_rate(matches, class_id)
            for class_id in np.unique(matches.label_class).tolist()
        },
        errors=tide(columns),
        confusion=confusion_matrix(columns, tuple(truth.names)),
        names=dict(truth.names),
        matches=matches,
        label_light=[lights[image] for image in matches.label_image],
        reasonable=_reasonable(truth, mine) if reasonable else None,
    )


def _columns(truth: Truth, found: Predictions) -> Columns:
    """The detections as columns, in the float32 of the detector."""
    boxes = edges(found.bbox).astype(np.float32)
    return Columns.sort(
        Detections(boxes, found.score.astype(np.float32), found.category_id),
        places(truth.image_ids, found.image_id),
        truth.labels,
    )


def _reasonable(truth: Truth, found: Predictions) -> dict[int, dict[str, float | None]]:
    """The pedestrian benchmarks' miss rate by class, of all images and of each light."""
    boxes, score = edges(found.bbox).astype(np.float32), found.score.astype(np.float32)
    detections = [
        Detections(boxes[mine], score[mine], found.category_id[mine])
        for mine in found.by_image(truth.image_ids)
    ]
    chosen = {
        "all": list(range(len(detections))),
        **{light: [i for i, mine in enumerate(truth.lights) if mine == light]
           for light in ("day", "night")},
    }  # fmt: skip
    return {
        class_id: {
            name: pedestrian_miss_rate(
                [detections[i] for i in images], [truth.labels[i] for i in images], class_id
            )
            for name, images in chosen.items()
        }
        for class_id in truth.names
    }


def to_json(result: ArmResult) -> dict[str, Any]:
    """An arm's own part of ``results.json``; null where a number isn't defined."""
    at_half, at_rate = result.operating_points
    return {
        "yolo": _named(result.yolo, result.names),
        "coco": _named(result.coco, result.names),
        "light": {light: _named(part, result.names) for light, part in result.light.items()},
        "operating_points": {
            "confidence": asdict(at_half),
            "false_positives": asdict(at_rate),
        },
        "log_average_miss_rate": {
            result.names[class_id]: rate for class_id, rate in result.miss_rate.items()
        },
        "errors": asdict(result.errors),
        "confusion": {
            "classes": [*result.names.values(), "background"],
            "matrix": result.confusion.tolist(),
        },
        **({} if result.reasonable is None else {"reasonable_miss_rate": {
            result.names[class_id]: rates for class_id, rates in result.reasonable.items()
        }}),
    }  # fmt: skip


def curves_json(results: Mapping[str, ArmResult]) -> dict[str, Any]:
    """The contents of ``curves.json``: precision, recall and F1 curves of every arm."""
    arms = {arm: curves.to_json(result.matches, result.names) for arm, result in results.items()}
    return {**curves.grids(), "arms": arms}


def table_rows(
    arm: str, result: ArmResult, ci95: Mapping[str, Sequence[float] | None]
) -> list[Row]:
    """The rows of one arm in ``results.csv``: ``all``, then each class that is in the labels.

    Args:
        arm: Its name.
        result: Its numbers.
        ci95: Its intervals by statistic; only the row ``all`` has any.
    """
    yolo, coco = result.yolo, result.coco
    row = _row(arm, "all", yolo, coco)
    for name, interval in ci95.items():
        row[f"{name}_low"], row[f"{name}_high"] = interval or (None, None)
    return [row] + [
        _row(arm, result.names[class_id], mine, coco.per_class[class_id])
        for class_id, mine in yolo.per_class.items()
    ]


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
            key_of(image),
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
