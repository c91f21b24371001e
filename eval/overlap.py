"""Which prediction lies on which label, whatever their classes: to find out what ids mean."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.coco_files import GroundTruth

LEAST_IOU = 0.5


def overlapping(
    ground_truth: GroundTruth, entries: Sequence[Mapping[str, Any]]
) -> list[tuple[int | str, int]]:
    """The best-scored prediction on each label that has one: its class and the label's.

    Args:
        ground_truth: The labels; crowds are none.
        entries: Predictions with the ground truth's image ids.
    """
    labels: dict[int, list[tuple[list[float], int]]] = {}
    for item in ground_truth["annotations"]:
        if not item["iscrowd"]:
            here = labels.setdefault(item["image_id"], [])
            here.append((item["bbox"], item["category_id"]))
    found: dict[int, list[Mapping[str, Any]]] = {}
    for entry in entries:
        if entry["image_id"] in labels:
            found.setdefault(entry["image_id"], []).append(entry)
    pairs: list[tuple[int | str, int]] = []
    for image_id, mine in found.items():
        mine = sorted(mine, key=lambda entry: -entry["score"])
        boxes = np.array([entry["bbox"] for entry in mine], np.float64)  # (d, 4)
        truth = np.array([box for box, _ in labels[image_id]], np.float64)  # (m, 4)
        met = _iou(truth, boxes) >= LEAST_IOU  # (m, d)
        for row, (_, class_id) in zip(met, labels[image_id], strict=True):
            if row.any():
                pairs.append((mine[int(row.argmax())]["category_id"], class_id))
    return pairs


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU (m, d) of boxes (m, 4) and (d, 4), left, top, width, height."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (m, d, 2)
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])  # (m, d, 2)
    both = np.clip(high - low, 0, None).prod(axis=2)  # (m, d)
    union = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None] - both
    return np.asarray(both / np.maximum(union, 1e-12))
