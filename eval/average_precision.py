"""Precision, recall and average precision in the YOLO convention (yolov5 v7's ``val.py``).

COCO's convention is in ``eval.coco``. The two differ in the curve's end points, in the matching
(here a detection whose best label is taken misses, there it gets the next one) and in the
operating point: COCO has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.labels import Labels
from eval.matching import area, drop_ignored, match

CurveEnd = Literal["one", "last_recall"]

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
_CONFIDENCES: NDArray[np.float64] = np.linspace(0, 1, 1000)
_SMOOTHING = 0.1  # of the confidence grid
_TINY = 1e-16  # yolov5's guard against 0 / 0


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One class: fractions in [0, 1], its labels, and the images that have any of them."""

    precision: float
    recall: float
    map50: float
    map50_95: float
    labels: int
    images: int


@dataclass(frozen=True, slots=True)
class YoloResult:
    """Means over the classes that are in the labels; None where there are no labels at all.

    Attributes:
        precision: At ``confidence``, IoU 0.5.
        recall: At ``confidence``, IoU 0.5.
        map50: Mean average precision at IoU 0.5.
        map50_95: The same, mean over IoU 0.5, 0.55, ... 0.95.
        confidence: Score threshold of the best mean F1.
        labels: How many labels there are.
        images: How many images there are.
        per_class: Each class that is in the labels, by id.
    """

    precision: float | None
    recall: float | None
    map50: float | None
    map50_95: float | None
    confidence: float | None
    labels: int
    images: int
    per_class: dict[int, ClassResult]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One arm's matched detections: all that the YOLO convention and what builds on it need.

    Attributes:
        hit: bool (n, 10), at each of ``IOU_THRESHOLDS``; n detections, best score first over all
            images, equal scores in the images' order.
        score: float64 (n,).
        class_id: int64 (n,).
        image: int64 (n,), index of the detection's image.
        label_class: int64 (m,), class of each label.
        label_image: int64 (m,), index of its image.
        label_area: float64 (m,), square pixels.
        label_score: float64 (m,), score of the detection that hits it at IoU 0.5; -1 for none. At
            a confidence c the label is found where this is at least c.
        images: How many images there are.
    """

    hit: NDArray[np.bool_]
    score: NDArray[np.float64]
    class_id: NDArray[np.int64]
    image: NDArray[np.int64]
    label_class: NDArray[np.int64]
    label_image: NDArray[np.int64]
    label_area: NDArray[np.float64]
    label_score: NDArray[np.float64]
    images: int


def evaluate_yolo(
    detections: Sequence[Detections], labels: Sequence[Labels], *, curve_end: CurveEnd = "one"
) -> YoloResult:
    """Score a set of images.

    Args:
        detections: One entry an image, in any order within it.
        labels: One entry an image, the same images in the same order.
        curve_end: See ``average_precision``.

    Raises:
        ValueError: The lengths differ.
    """
    return summarize(match_images(detections, labels), curve_end=curve_end)


def match_images(detections: Sequence[Detections], labels: Sequence[Labels]) -> Matches:
    """Match every image's detections to its labels, ignored ones dropped.

    Raises:
        ValueError: The lengths differ.
    """
    hits = [np.zeros((0, len(IOU_THRESHOLDS)), np.bool_)]
    label_scores = [np.zeros(0)]
    counted = []
    for found, truth in zip(detections, labels, strict=True):
        kept = drop_ignored(found[np.argsort(-found.score, kind="stable")], truth)
        label = match(kept, truth, IOU_THRESHOLDS)  # (n, 10)
        at_half = label[:, 0]
        label_score = np.full(len(truth), -1.0)
        label_score[at_half[at_half >= 0]] = kept.score[at_half >= 0]
        counted.append(kept)
        hits.append(label >= 0)
        label_scores.append(label_score)
    every = Detections.concatenate(counted)
    order = np.argsort(-every.score, kind="stable")
    return Matches(
        hit=np.concatenate(hits)[order],
        score=every.score[order].astype(np.float64),
        class_id=every.class_id[order],
        image=np.repeat(np.arange(len(labels)), [len(kept) for kept in counted])[order],
        label_class=np.concatenate([np.zeros(0, np.int64), *(truth.class_id for truth in labels)]),
        label_image=np.repeat(np.arange(len(labels)), [len(truth) for truth in labels]),
        label_area=np.concatenate([np.zeros(0), *(area(truth.xyxy) for truth in labels)]),
        label_score=np.concatenate(label_scores),
        images=len(labels),
    )


def summarize(matches: Matches, *, curve_end: CurveEnd = "one") -> YoloResult:
    """Precision, recall and average precision of matched images.

    For k = 1... detections of a class, best score first: recall_k = hits_k / labels, precision_k =
    hits_k / k. P and R are read at one confidence for all classes, the one with the best mean
    F1 = 2PR / (P + R), the mean's curve over 1,000 confidences smoothed over a tenth of them.
    """
    classes = np.unique(matches.label_class)
    if len(classes) == 0:
        return YoloResult(None, None, None, None, None, 0, matches.images, {})
    precision = np.zeros((len(classes), len(_CONFIDENCES)))
    recall = np.zeros_like(precision)
    ap = np.zeros((len(classes), len(IOU_THRESHOLDS)))
    for row, class_id in enumerate(classes):
        mine = matches.class_id == class_id
        if not mine.any():
            continue
        hits = matches.hit[mine].cumsum(axis=0)  # (k, 10)
        recalls = hits / ((matches.label_class == class_id).sum() + _TINY)
        precisions = hits / np.arange(1, len(hits) + 1)[:, None]
        # Scores fall and np.interp wants rising abscissae: both axes change sign.
        at, score = -_CONFIDENCES, -matches.score[mine]
        recall[row] = np.interp(at, score, recalls[:, 0], left=0)
        precision[row] = np.interp(at, score, precisions[:, 0], left=1)
        ap[row] = [
            average_precision(recalls[:, t], precisions[:, t], curve_end=curve_end)
            for t in range(len(IOU_THRESHOLDS))
        ]
    f1 = 2 * precision * recall / (precision + recall + _TINY)
    best = int(_smooth(f1.mean(axis=0)).argmax())
    per_class = {}
    for row, class_id in enumerate(classes):
        where = matches.label_image[matches.label_class == class_id]
        per_class[int(class_id)] = ClassResult(
            precision=float(precision[row, best]),
            recall=float(recall[row, best]),
            map50=float(ap[row, 0]),
            map50_95=float(ap[row].mean()),
            labels=len(where),
            images=len(np.unique(where)),
        )
    return YoloResult(
        precision=float(precision[:, best].mean()),
        recall=float(recall[:, best].mean()),
        map50=float(ap[:, 0].mean()),
        map50_95=float(ap.mean()),
        confidence=float(_CONFIDENCES[best]),
        labels=len(matches.label_class),
        images=matches.images,
        per_class=per_class,
    )


def average_precision(
    recall: NDArray[np.float64], precision: NDArray[np.float64], *, curve_end: CurveEnd = "one"
) -> float:
    """Area under the precision envelope, by the trapezoid rule on 101 recalls 0, 0.01, ... 1.

    Args:
        recall: (n,), rising.
        precision: (n,).
        curve_end: ``one`` draws a straight line from the last point to (1, 0), as yolov5 does;
            ``last_recall`` lets the curve fall to 0 at the last recall, as newer ultralytics does.

    Returns:
        The area, in [0, 1].
    """
    fall = recall[-1:] if curve_end == "last_recall" else recall[:0]
    x = np.concatenate([[0.0], recall, fall, [1.0]])
    y = np.concatenate([[1.0], precision, np.zeros(len(fall) + 1)])
    # The best precision at this recall or a higher one.
    envelope = np.maximum.accumulate(y[::-1])[::-1]
    grid = np.linspace(0, 1, 101)
    values = np.interp(grid, x, envelope)
    return float(((values[1:] + values[:-1]) / 2 * np.diff(grid)).sum())


def _smooth(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over an odd window of a tenth of the curve, its ends held: (n,) -> (n,)."""
    width = round(2 * _SMOOTHING * len(curve)) // 2 + 1
    padded = np.pad(curve, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid")
