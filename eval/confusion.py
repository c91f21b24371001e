"""Confusion matrix: which class a labelled object is taken for, and what has no partner."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.labels import Labels
from eval.matching import drop_ignored, iou


def confusion_matrix(
    detections: Sequence[Detections],
    labels: Sequence[Labels],
    classes: Sequence[int],
    *,
    confidence: float = 0.25,
    iou_threshold: float = 0.5,
) -> NDArray[np.int64]:
    """Count pairs of detected and labelled class.

    Boxes are matched whatever their class, as yolov5's ``ConfusionMatrix`` does it: each detection
    asks for the label of highest IoU, and each label takes the one of highest IoU that asks for
    it. A detection that isn't taken has no partner, even where another label was in reach. (yolov5
    leaves out the unmatched detections of images in which nothing matches; here they count.)

    Args:
        detections: One entry an image, in any order within it. Ignored ones
            (``eval.matching.ignored``) don't count.
        labels: One entry an image, the same images in the same order.
        classes: Class ids in the order of the matrix, each once.
        confidence: Detections that score more than this count.
        iou_threshold: Pairs match with more than this IoU.

    Returns:
        (c + 1, c + 1). Row: detected class; column: labelled class; the last of both is background.
        Each label counts once, in its column: in the last row where it was missed. Each detection
        counts once, in its row: in the last column where it has no label.

    Raises:
        ValueError: The lengths differ.
        KeyError: A label, or a detection that counts, is of none of the classes.
    """
    place = {class_id: index for index, class_id in enumerate(classes)}
    matrix = [[0] * (len(classes) + 1) for _ in range(len(classes) + 1)]
    for found, truth in zip(detections, labels, strict=True):
        sure = drop_ignored(found[found.score > confidence], truth)
        hit = _match(sure, truth, iou_threshold)  # (n,)
        columns = [place[class_id] for class_id in truth.class_id.tolist()]
        missed = set(range(len(columns)))
        columns.append(len(classes))  # a hit of -1 is the last one, the background
        for class_id, label in zip(sure.class_id.tolist(), hit.tolist(), strict=True):
            matrix[place[class_id]][columns[label]] += 1
            missed.discard(label)
        for label in missed:
            matrix[-1][columns[label]] += 1
    return np.array(matrix, np.int64)


def _match(found: Detections, truth: Labels, threshold: float) -> NDArray[np.int64]:
    """The label (n,) of each detection, -1 for none; of equal overlaps the best score is first."""
    hit = np.full(len(found), -1)
    if len(found) == 0 or len(truth) == 0:
        return hit
    overlap = iou(found.xyxy, truth.xyxy)  # (n, m)
    label, near = overlap.argmax(axis=1), overlap.max(axis=1)
    rows = np.flatnonzero(near > threshold)
    rows = rows[np.lexsort((-found.score[rows], -near[rows]))]  # by IoU, then by score
    taken = set()
    for row, column in zip(rows.tolist(), label[rows].tolist(), strict=True):
        if column not in taken:
            taken.add(column)
            hit[row] = column
    return hit
