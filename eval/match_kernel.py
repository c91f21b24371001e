"""The compiled part of matching: loops over the images of an ``eval.columns.Columns``.

Detections stand image after image, best score first within each, labels image after image;
``start`` and ``label_start`` (images + 1,) say where each image begins.
"""

import numpy as np
from numpy.typing import NDArray

from common.compiled import compiled

# what ``judge_errors`` writes, see ``eval.tide``
HIT, LOCALIZATION, CLASSIFICATION, DUPLICATE, BACKGROUND, BOTH = range(6)


@compiled()
def _iou(a: NDArray[np.float32], b: NDArray[np.float64]) -> float:
    """Operation for operation what ``eval.matching.iou`` computes, in float64: (4,), (4,)."""
    left, top, right, bottom = float(a[0]), float(a[1]), float(a[2]), float(a[3])
    width = max(min(right, b[2]) - max(left, b[0]), 0.0)
    height = max(min(bottom, b[3]) - max(top, b[1]), 0.0)
    shared = width * height
    area = max(right - left, 0.0) * max(bottom - top, 0.0)
    union = area + max(b[2] - b[0], 0.0) * max(b[3] - b[1], 0.0) - shared
    return shared / union if union > 0.0 else 0.0


@compiled()
def match_labels(
    xyxy: NDArray[np.float32],
    class_id: NDArray[np.int64],
    start: NDArray[np.int64],
    label_xyxy: NDArray[np.float64],
    label_class: NDArray[np.int64],
    label_start: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    hit: NDArray[np.bool_],
    label: NDArray[np.int64],
) -> None:
    """The rule of ``eval.matches.match`` in every image.

    Args:
        xyxy: (n, 4).
        class_id: (n,).
        start: (images + 1,).
        label_xyxy: (m, 4).
        label_class: (m,).
        label_start: (images + 1,).
        thresholds: IoU, (t,).
        hit: (n, t), written: which detections hit their label.
        label: (n,), written: that label, of all images'; -1 where no threshold is reached.
    """
    least = thresholds.min()
    for image in range(len(start) - 1):
        first, last = label_start[image], label_start[image + 1]
        taken = np.zeros((last - first, len(thresholds)), np.bool_)
        for d in range(start[image], start[image + 1]):
            best, found = -1.0, -1  # the same label at every threshold
            for g in range(first, last):
                if label_class[g] == class_id[d]:
                    value = _iou(xyxy[d], label_xyxy[g])
                    if value > best:
                        best, found = value, g
            label[d] = found if best >= least else -1
            hit[d] = False
            for t in range(len(thresholds)):
                if found >= 0 and best >= thresholds[t] and not taken[found - first, t]:
                    hit[d, t] = taken[found - first, t] = True


@compiled()
def judge_errors(
    xyxy: NDArray[np.float32],
    class_id: NDArray[np.int64],
    start: NDArray[np.int64],
    label_xyxy: NDArray[np.float64],
    label_class: NDArray[np.int64],
    label_start: NDArray[np.int64],
    foreground: float,
    clear: float,
    kind: NDArray[np.int8],
    label: NDArray[np.int64],
) -> None:
    """Name the kind of every detection, as ``eval.tide`` defines them.

    In order of score, each takes the label of its class of highest IoU that is still free.

    Args:
        xyxy: (n, 4).
        class_id: (n,).
        start: (images + 1,).
        label_xyxy: (m, 4).
        label_class: (m,).
        label_start: (images + 1,).
        foreground: The IoU of a hit.
        clear: The IoU up to which a detection lies on nothing.
        kind: (n,), written.
        label: (n,), written: which label the detection hits or its error points at; -1 for none.
    """
    for image in range(len(start) - 1):
        first, last = label_start[image], label_start[image + 1]
        free = np.ones(last - first, np.bool_)
        for d in range(start[image], start[image + 1]):
            near, own = 0.0, -1  # the best label of its class
            wrong, other = 0.0, -1  # of another class
            best, mine = 0.0, -1  # of its class, in reach and free
            for g in range(first, last):
                value = _iou(xyxy[d], label_xyxy[g])
                if label_class[g] != class_id[d]:
                    if value > wrong:
                        wrong, other = value, g
                    continue
                if value > near:
                    near, own = value, g
                if value >= foreground and value > best and free[g - first]:
                    best, mine = value, g
            label[d] = -1
            if mine >= 0:
                kind[d], label[d] = HIT, mine
                free[mine - first] = False
            elif clear <= near <= foreground:
                kind[d], label[d] = LOCALIZATION, own
            elif wrong >= foreground:
                kind[d], label[d] = CLASSIFICATION, other
            elif near > foreground:
                kind[d] = DUPLICATE
            elif max(near, wrong) <= clear:
                kind[d] = BACKGROUND
            else:
                kind[d] = BOTH


@compiled()
def find_partners(
    xyxy: NDArray[np.float32],
    start: NDArray[np.int64],
    label_xyxy: NDArray[np.float64],
    label_start: NDArray[np.int64],
    threshold: float,
    partner: NDArray[np.int64],
) -> None:
    """The rule of ``eval.confusion`` in every image.

    Args:
        xyxy: (n, 4).
        start: (images + 1,).
        label_xyxy: (m, 4).
        label_start: (images + 1,).
        threshold: Pairs have more than this IoU.
        partner: (m,), written: the detection that each label takes; -1 for none.
    """
    partner[:] = -1
    for image in range(len(start) - 1):
        first, last = label_start[image], label_start[image + 1]
        nearest = np.full(last - first, threshold)  # the IoU of each label's partner
        for d in range(start[image], start[image + 1]):
            best, found = -1.0, -1
            for g in range(first, last):
                value = _iou(xyxy[d], label_xyxy[g])
                if value > best:
                    best, found = value, g
            if found >= 0 and best > nearest[found - first]:
                nearest[found - first] = best
                partner[found] = d
