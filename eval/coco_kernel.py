"""The compiled part of COCO's numbers: one class matched, and its curves, as in pycocotools.

Detections stand image after image, best score first within each; labels image after image in the
order of their file. ``start`` (images + 1,) says where each image begins.
"""

import numpy as np
from numpy.typing import NDArray

from common.compiled import compiled


@compiled()
def _overlaps(
    boxes: NDArray[np.float64],
    labels: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    overlap: NDArray[np.float64],
) -> None:
    """Write the IoU (d, g) of boxes (d, 4) and labels (g, 4), left, top, width, height.

    With a crowd it is the share of the detection's area that lies in it.
    """
    for d in range(len(boxes)):
        x, y, width, height = boxes[d]
        for g in range(len(labels)):
            left, top, wide, high = labels[g]
            w = min(x + width, left + wide) - max(x, left)
            h = min(y + height, top + high) - max(y, top)
            overlap[d, g] = 0.0
            if w > 0 and h > 0:
                shared = w * h
                both = width * height if crowd[g] else width * height + wide * high - shared
                overlap[d, g] = shared / both


@compiled()
def _match_image(
    overlap: NDArray[np.float64],
    out: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    order: NDArray[np.int64],
    threshold: float,
    hit: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
) -> None:
    """Match one image at one threshold: write ``hit`` (d,), ``ignored`` (d,) by their label.

    In order of score, each detection takes the free label of highest IoU, the last of equals; a
    label that doesn't count (``out`` (g,)) only where no other is in reach. ``order`` (g,) has
    those last. Crowds are always free.
    """
    taken = np.zeros(len(out), np.bool_)
    for d in range(len(overlap)):
        best, found = min(threshold, 1 - 1e-10), -1
        for g in order:
            if taken[g] and not crowd[g]:
                continue
            if found >= 0 and not out[found] and out[g]:
                break
            if overlap[d, g] >= best:
                best, found = overlap[d, g], g
        hit[d] = found >= 0
        if found >= 0:
            taken[found] = True
            ignored[d] = out[found]


@compiled()
def match_class(
    boxes: NDArray[np.float64],
    start: NDArray[np.int64],
    labels: NDArray[np.float64],
    label_area: NDArray[np.float64],
    crowd: NDArray[np.bool_],
    label_start: NDArray[np.int64],
    area: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    hit: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
) -> None:
    """Match the detections of one class in every image, for one range of areas.

    Args:
        boxes: (n, 4), left, top, width, height.
        start: (images + 1,).
        labels: (m, 4).
        label_area: (m,).
        crowd: (m,), which labels are regions.
        label_start: (images + 1,).
        area: (2,), the smallest and largest area that counts.
        thresholds: IoU, (t,).
        hit: (t, n), written: which detections have a label.
        ignored: (t, n), written: which count neither way.
    """
    for image in range(len(start) - 1):
        here = slice(start[image], start[image + 1])
        there = slice(label_start[image], label_start[image + 1])
        mine = boxes[here]
        if len(mine) == 0:
            continue
        sizes, regions = label_area[there], crowd[there]
        # loops compile sooner than operations on arrays
        out = np.empty(len(sizes), np.bool_)  # (g,)
        order, count = np.empty(len(sizes), np.int64), 0
        for g in range(len(sizes)):
            out[g] = regions[g] or sizes[g] < area[0] or sizes[g] > area[1]
        for last in (False, True):
            for g in range(len(sizes)):
                if out[g] == last:
                    order[count] = g
                    count += 1
        overlap = np.empty((len(mine), len(out)))
        _overlaps(mine, labels[there], regions, overlap)
        for t in range(len(thresholds)):
            found, dropped = hit[t, here], ignored[t, here]
            for d in range(len(mine)):
                dropped[d] = False
            _match_image(overlap, out, regions, order, thresholds[t], found, dropped)
            for d in range(len(mine)):
                size = mine[d, 2] * mine[d, 3]
                dropped[d] |= not found[d] and (size < area[0] or size > area[1])


@compiled()
def class_curves(
    rank: NDArray[np.int64],
    most: int,
    hit: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    labels: int,
    recalls: NDArray[np.float64],
    precision: NDArray[np.float64],
    recall: NDArray[np.float64],
) -> None:
    """Write the best precision at each recall or a higher one, and the last recall.

    Only hits move recall, and precision is highest at a hit.

    Args:
        rank: (n,), place of each detection in its image, from 0; best score of all images first.
        most: Detections an image that count.
        hit: (t, n), in the same order.
        ignored: (t, n), likewise.
        labels: How many count, at least one.
        recalls: (r,), rising.
        precision: (t, r), written.
        recall: (t,), written.
    """
    best = np.empty(len(rank) + 1)
    for t in range(len(hit)):
        seen, hits = 0, 0
        for d in range(len(rank)):
            if rank[d] < most and not ignored[t, d]:
                seen += 1
                if hit[t, d]:
                    best[hits] = (hits + 1) / seen
                    hits += 1
        for h in range(hits - 1, 0, -1):
            best[h - 1] = max(best[h - 1], best[h])
        recall[t] = hits / labels
        h = 0
        for r in range(len(recalls)):
            while h < hits and (h + 1) / labels < recalls[r]:
                h += 1
            precision[t, r] = best[h] if h < hits else 0.0
