"""Precision, recall and average precision in the YOLO convention (yolov5 v7's ``val.py``).

COCO's convention is in ``eval.coco``. The two differ in the curve's end points, in the matching
(here a detection whose best label is taken misses, there it gets the next one) and in the
operating point: COCO has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.labels import Labels
from eval.matches import IOU_THRESHOLDS, Matches, match_images

STATISTICS = ("precision", "recall", "map50", "map50_95")  # of a ``YoloResult``
CurveEnd = Literal["one", "last_recall"]

RECALLS: NDArray[np.float64] = np.linspace(0, 1, 101)
CONFIDENCES: NDArray[np.float64] = np.linspace(0, 1, 1000)
SMOOTHING_WIDTH = 101  # confidences: a tenth of them, made odd
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


def summarize(matches: Matches, *, curve_end: CurveEnd = "one") -> YoloResult:
    """Precision, recall and average precision of matched images.

    For k = 1... detections of a class, best score first: recall_k = hits_k / labels, precision_k =
    hits_k / k. P and R are read at one confidence for all classes, the one with the best mean
    F1 = 2PR / (P + R), the mean's curve over 1,000 confidences smoothed over a tenth of them.
    """
    classes = np.unique(matches.label_class)
    if len(classes) == 0:
        return YoloResult(None, None, None, None, None, 0, matches.images, {})
    precision = np.zeros((len(classes), len(CONFIDENCES)))
    recall = np.zeros_like(precision)
    ap = np.zeros((len(classes), len(IOU_THRESHOLDS)))
    for row, class_id in enumerate(classes):
        for t in range(len(IOU_THRESHOLDS)):
            curve = class_curve(matches, class_id, t)
            ap[row, t] = average_precision(curve.recall, curve.precision, curve_end=curve_end)
            if t == 0:
                precision[row], recall[row] = at_confidences(curve, CONFIDENCES)
    best = best_f1(precision, recall)
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
        confidence=float(CONFIDENCES[best]),
        labels=len(matches.label_class),
        images=matches.images,
        per_class=per_class,
    )


class Curve(NamedTuple):
    """A labelled class after its 1, 2, ... k best detections, at one IoU threshold.

    Attributes:
        score: (k,), of the last of them.
        precision: (k,).
        recall: (k,).
    """

    score: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def class_curve(matches: Matches, class_id: int, threshold: int = 0) -> Curve:
    """The curve of a labelled class; ``threshold`` is a place in ``IOU_THRESHOLDS``."""
    mine = np.flatnonzero(matches.class_id == class_id)
    hits = matches.hit[mine, threshold].cumsum()  # (k,)
    labels = (matches.label_class == class_id).sum()
    return Curve(matches.score[mine], hits / np.arange(1, len(hits) + 1), hits / labels)


def at_confidences(
    curve: Curve, confidences: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall of a labelled class, straight between the scores.

    Args:
        curve: The class's, at IoU 0.5.
        confidences: (n,), rising.

    Returns:
        Two arrays (n,): 1 and 0 over the best score; both 0 for a class without detections.
    """
    if len(curve.score) == 0:
        return np.zeros(len(confidences)), np.zeros(len(confidences))
    # Scores fall and np.interp wants rising abscissae: both axes change sign.
    precision = np.interp(-confidences, -curve.score, curve.precision, left=1)
    recall = np.interp(-confidences, -curve.score, curve.recall, left=0)
    return precision, recall


def best_f1(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> int:
    """Where the classes' mean F1 = 2PR / (P + R), smoothed, is highest: (c, k), (c, k) -> index."""
    f1 = 2 * precision * recall / (precision + recall + _TINY)
    return int(_smooth(f1.mean(axis=0)).argmax())


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
        The area, in [0, 1]; 0 without any point.
    """
    values = envelope(recall, precision, curve_end=curve_end)
    return float(((values[1:] + values[:-1]) / 2 * np.diff(RECALLS)).sum())


def envelope(
    recall: NDArray[np.float64], precision: NDArray[np.float64], *, curve_end: CurveEnd = "one"
) -> NDArray[np.float64]:
    """The best precision at each of ``RECALLS`` or a higher recall; see ``average_precision``."""
    if len(recall) == 0:
        return np.zeros(len(RECALLS))
    fall = recall[-1:] if curve_end == "last_recall" else recall[:0]
    x = np.concatenate([[0.0], recall, fall, [1.0]])
    y = np.concatenate([[1.0], precision, np.zeros(len(fall) + 1)])
    best = np.maximum.accumulate(y[::-1])[::-1]
    return np.interp(RECALLS, x, best)


def _smooth(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over SMOOTHING_WIDTH neighbours, the curve's ends held: (k,) -> (k,)."""
    padded = np.pad(curve, SMOOTHING_WIDTH // 2, mode="edge")
    # one order of addition everywhere: the bootstrap must break ties as this does
    return np.asarray(sum(padded[i : i + len(curve)] for i in range(SMOOTHING_WIDTH)))
