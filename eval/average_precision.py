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
from eval.columns import Columns
from eval.labels import Labels
from eval.matching import area

STATISTICS = ("precision", "recall", "map50", "map50_95")  # of a ``YoloResult``
CurveEnd = Literal["one", "last_recall"]

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
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


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One arm's matched detections: all that the YOLO convention and what builds on it need.

    Attributes:
        hit: bool (n, 10), at each of ``IOU_THRESHOLDS``; n detections, best score first over all
            images, equal scores in the images' order.
        score: float64 (n,).
        class_id: int32 (n,).
        image: int32 (n,), index of the detection's image.
        label_class: int64 (m,), class of each label.
        label_image: int32 (m,), index of its image.
        label_area: float64 (m,), square pixels.
        label_score: float64 (m,), score of the detection that hits it at IoU 0.5; -1 for none. At
            a confidence c the label is found where this is at least c.
        images: How many images there are.
    """

    hit: NDArray[np.bool_]
    score: NDArray[np.float64]
    class_id: NDArray[np.int32]
    image: NDArray[np.int32]
    label_class: NDArray[np.int64]
    label_image: NDArray[np.int32]
    label_area: NDArray[np.float64]
    label_score: NDArray[np.float64]
    images: int

    @property
    def labelled_images(self) -> int:
        """How many images have a label."""
        return len(np.unique(self.label_image))

    def of_images(self, chosen: NDArray[np.bool_]) -> "Matches":
        """The matches of some images alone, those ``chosen`` (images,), numbered anew."""
        number = (np.cumsum(chosen) - 1).astype(np.int32)
        mine, labels = chosen[self.image], chosen[self.label_image]
        return Matches(
            hit=self.hit[mine],
            score=self.score[mine],
            class_id=self.class_id[mine],
            image=number[self.image[mine]],
            label_class=self.label_class[labels],
            label_image=number[self.label_image[labels]],
            label_area=self.label_area[labels],
            label_score=self.label_score[labels],
            images=int(chosen.sum()),
        )


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
    return match_columns(Columns.of(detections, labels))


def match(
    columns: Columns, thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which label each detection hits, as yolov5 v7's ``val.py`` decides it.

    In each image and at each threshold, of all pairs of equal class with at least that IoU: each
    detection keeps the label of highest IoU (the first of equals), then each label keeps its most
    confident detection. The second step goes by confidence, not by IoU; and a detection whose label
    is taken stays a miss, even where another label was in reach.

    Args:
        columns: n detections and m labels.
        thresholds: IoU thresholds (t,).

    Returns:
        Which detections hit, bool (n, t); and the label that each asks for, int64 (n,), -1 where it
        reaches no threshold. It is the same at every threshold.
    """
    # imported now: numba would delay the first pair of a run with a report
    from eval.match_kernel import match_labels

    found, labels = columns.found, columns.labels
    hit = np.empty((len(found), len(thresholds)), np.bool_)
    label = np.empty(len(found), np.int64)
    match_labels(
        found.xyxy, found.class_id, columns.start, labels.xyxy, labels.class_id, labels.start,
        thresholds, hit, label,
    )  # fmt: skip
    return hit, label


def match_columns(columns: Columns) -> Matches:
    """What ``match_images`` gives, of columns."""
    found, labels = columns.found, columns.labels
    hit, label = match(columns, IOU_THRESHOLDS)
    label_score = np.full(len(labels.class_id), -1.0)
    label_score[label[hit[:, 0]]] = found.score[hit[:, 0]]
    order = np.argsort(-found.score, kind="stable")
    return Matches(
        hit=hit[order],
        score=found.score[order].astype(np.float64),
        class_id=found.class_id[order].astype(np.int32),
        image=columns.image[order],
        label_class=labels.class_id,
        label_image=labels.image,
        label_area=area(labels.xyxy),
        label_score=label_score,
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
