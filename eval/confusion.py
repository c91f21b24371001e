"""Confusion matrix: which class a labelled object is taken for, and what has no partner."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eval.columns import Columns
from eval.match_kernel import find_partners


def confusion_matrix(
    columns: Columns,
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
        columns: Detections and labels of all images.
        classes: Class ids in the order of the matrix, each once.
        confidence: Detections that score more than this count.
        iou_threshold: Pairs match with more than this IoU.

    Returns:
        (c + 1, c + 1). Row: detected class; column: labelled class; the last of both is background.
        Each label counts once, in its column: in the last row where it was missed. Each detection
        counts once, in its row: in the last column where it has no label.

    Raises:
        KeyError: A label, or a detection that counts, is of none of the classes.
    """
    sure, labels = columns.chosen(columns.found.score > confidence), columns.labels
    row, column = (_places(part.class_id, classes) for part in (sure.found, labels))
    partner = np.empty(len(column), np.int64)  # of each label
    find_partners(
        sure.found.xyxy, sure.start, labels.xyxy, labels.start, iou_threshold, partner
    )  # fmt: skip
    taken = partner >= 0
    alone = np.ones(len(row), np.bool_)
    alone[partner[taken]] = False
    background = len(classes)
    size = background + 1
    cells = np.concatenate([
        size * row[partner[taken]] + column[taken],
        size * row[alone] + background,
        size * background + column[~taken],
    ])  # fmt: skip
    return np.bincount(cells, minlength=size**2).reshape(size, size)


def _places(class_id: NDArray[np.int64], classes: Sequence[int]) -> NDArray[np.int64]:
    """Where each class (n,) stands in the list: (n,)."""
    place = {class_id: index for index, class_id in enumerate(classes)}
    there, inverse = np.unique(class_id, return_inverse=True)
    return np.array([place[number] for number in there.tolist()], np.int64)[inverse]
