"""Overlaps of boxes, and the one rule for ignore regions."""

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.labels import Labels

Boxes = NDArray[np.float64] | NDArray[np.float32]


def iou(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Intersection over union of every pair of boxes.

    Args:
        a: (n, 4), left, top, right, bottom.
        b: (m, 4).

    Returns:
        float64 (n, m) in [0, 1]; 0 where both boxes are without area.
    """
    shared = _intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def ignored(detections: Detections, labels: Labels) -> NDArray[np.bool_]:
    """Which detections count neither way: bool (n,).

    Those with over half of their area inside one ignore region, and with no label of their class
    at an IoU of 0.5 or more.
    """
    if len(detections) == 0 or len(labels.ignore) == 0:
        return np.zeros(len(detections), np.bool_)
    inside = _intersection(detections.xyxy, labels.ignore).max(axis=1)
    hit = (_same_class_iou(detections, labels) >= 0.5).any(axis=1)
    return np.asarray((inside > 0.5 * area(detections.xyxy)) & ~hit)


def drop_ignored(detections: Detections, labels: Labels) -> Detections:
    """The detections that count, order kept; both conventions score these."""
    if len(labels.ignore) == 0:
        return detections
    return detections[~ignored(detections, labels)]


def _same_class_iou(detections: Detections, labels: Labels) -> NDArray[np.float64]:
    """IoU (n, m), -1 where the classes differ, so that no threshold is reached."""
    same = detections.class_id[:, None] == labels.class_id[None, :]
    return np.where(same, iou(detections.xyxy, labels.xyxy), -1.0)


def _intersection(a: Boxes, b: Boxes) -> NDArray[np.float64]:
    """Shared area of every pair, (n, m)."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    # Column by column: twice as fast as arrays (n, m, 2).
    width = np.minimum(a[:, 2, None], b[:, 2]) - np.maximum(a[:, 0, None], b[:, 0])  # (n, m)
    height = np.minimum(a[:, 3, None], b[:, 3]) - np.maximum(a[:, 1, None], b[:, 1])
    return np.asarray(np.maximum(width, 0.0) * np.maximum(height, 0.0))


def area(boxes: Boxes) -> NDArray[np.float64]:
    """Area of each box (n, 4), left, top, right, bottom: (n,)."""
    boxes = boxes.astype(np.float64)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.asarray(np.maximum(width, 0.0) * np.maximum(height, 0.0))
