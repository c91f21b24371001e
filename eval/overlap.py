"""Which prediction lies on which label, whatever their classes: to find out what ids mean."""

import numpy as np
from numpy.typing import NDArray

from eval.coco_files import GroundTruth
from eval.predictions import Predictions

LEAST_IOU = 0.5


def overlapping(ground_truth: GroundTruth, found: Predictions) -> list[tuple[int, int]]:
    """The best-scored prediction on each label that has one: its row and the label's class.

    Args:
        ground_truth: The labels; crowds are none.
        found: Predictions; those of images that aren't there lie on nothing.
    """
    labels: dict[int, list[tuple[list[float], int]]] = {}
    for item in ground_truth["annotations"]:
        if not item["iscrowd"]:
            here = labels.setdefault(item["image_id"], [])
            here.append((item["bbox"], item["category_id"]))
    known = np.flatnonzero(np.isin(found.image_id, list(labels)))
    rows = known[np.lexsort((-found.score[known], found.image_id[known]))]
    _, starts = np.unique(found.image_id[rows], return_index=True)
    pairs: list[tuple[int, int]] = []
    for mine in np.split(rows, starts)[1:]:
        here = labels[int(found.image_id[mine[0]])]
        truth = np.array([box for box, _ in here], np.float64)  # (m, 4)
        met = _iou(truth, found.bbox[mine]) >= LEAST_IOU  # (m, d)
        for row, (_, class_id) in zip(met, here, strict=True):
            if row.any():
                pairs.append((int(mine[row.argmax()]), class_id))
    return pairs


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU (m, d) of boxes (m, 4) and (d, 4), left, top, width, height."""
    width = np.minimum((a[:, 0] + a[:, 2])[:, None], b[:, 0] + b[:, 2])  # (m, d), the right end
    width -= np.maximum(a[:, 0, None], b[:, 0])
    height = np.minimum((a[:, 1] + a[:, 3])[:, None], b[:, 1] + b[:, 3])
    height -= np.maximum(a[:, 1, None], b[:, 1])
    both = np.maximum(width, 0) * np.maximum(height, 0)  # (m, d)
    union = (a[:, 2] * a[:, 3])[:, None] + b[:, 2] * b[:, 3] - both
    return np.asarray(both / np.maximum(union, 1e-12))
