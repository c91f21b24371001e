"""The compiled part of the bootstrap: the statistics of many resampled sets of images.

An image that is drawn w times counts as w equal images. Copies of a detection follow one another in
the ranking, so the ranks of the drawn detections, and from them the points of the curve, need no
sorting; only hits move recall, so average precision is arithmetic on their ranks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.compiled import compiled


class Ranked(NamedTuple):
    """Matches, class after class and best score first within each.

    There are c classes, t thresholds, k confidences. Of the ranks only some are needed: those of
    the hits, of the detections after them, and of the first one below each confidence. These are
    the class's marks.

    Attributes:
        image: int32 (n,), index of each detection's image.
        score: float64 (n,).
        start: int64 (c + 1,), where each class begins in these two.
        marked: uint8 (n,), 1 for a mark.
        marks: int32 (e,), place within its class of each mark; the last one of a class is its end.
        marks_start: int64 (c + 1,), where each class begins there.
        passed: int64 (c, k), mark of the first score of a class that is below each confidence.
        hits: int32 (h,), mark of each hit, threshold after threshold.
        hits_start: int64 (c * t + 1,), where each class and threshold begins in ``hits``.
        labels: int64 (c, images), how many labels.
    """

    image: NDArray[np.int32]
    score: NDArray[np.float64]
    start: NDArray[np.int64]
    marked: NDArray[np.uint8]
    marks: NDArray[np.int32]
    marks_start: NDArray[np.int64]
    passed: NDArray[np.int64]
    hits: NDArray[np.int32]
    hits_start: NDArray[np.int64]
    labels: NDArray[np.int64]


@compiled()
def _ranks(
    drawn: NDArray[np.int32],
    image: NDArray[np.int32],
    marked: NDArray[np.uint8],
    rank: NDArray[np.int64],
) -> None:
    """Write how many copies stand before each mark of a class into ``rank``, the end's last."""
    mark, taken = 0, 0
    for i in range(len(image)):
        rank[mark] = taken  # overwritten unless it is one: faster than to ask
        mark += marked[i]
        taken += drawn[image[i]]
    rank[mark] = taken


@compiled()
def _drawn_hits(
    rank: NDArray[np.int64],
    hits: NDArray[np.int32],
    last: NDArray[np.int64],
    count: NDArray[np.int64],
) -> int:
    """Write of each hit that is drawn the rank, from 1, of its last copy, and the copies so far.

    Returns how many hits are drawn. ``last`` and ``count`` have room for one more.
    """
    drawn, copies = 0, 0
    for mark in hits:
        mine = rank[mark + 1] - rank[mark]
        copies += mine
        last[drawn], count[drawn] = rank[mark + 1], copies
        drawn += mine > 0  # if not, the next one overwrites it: faster than to ask
    return drawn


@compiled()
def _average_precision(
    last: NDArray[np.int64],
    count: NDArray[np.int64],
    detections: int,
    labelled: int,
    envelope: NDArray[np.float64],
) -> float:
    """Area under the envelope by trapezoids on 101 recalls.

    With h hits recall stays at h / labelled until hit h + 1: of these points only the first and the
    last one matter. Among the copies of a hit precision rises, so its envelope is that of the last.

    Args:
        last: (d,), as ``_drawn_hits`` writes it.
        count: (d,), likewise.
        detections: How many are drawn.
        labelled: How many labels.
        envelope: (d + 1,), written: that of each hit's copies.
    """
    envelope[len(last)] = 0.0  # the curve's end (1, 0)
    for i in range(len(last) - 1, -1, -1):
        envelope[i] = max(count[i] / last[i], envelope[i + 1])
    hits = count[-1] if len(last) > 0 else 0
    area, before, h, following = 0.0, 0.0, 0, 0
    for step in range(101):
        x = step * 0.01
        h = max(h, min(hits, int(x * labelled) - 1))  # close below, whatever the rounding
        while h < hits and (h + 1) / labelled <= x:
            h += 1
        above = len(count)
        while following < above:  # bisects: which one hit h + 1 is a copy of
            middle = (following + above) // 2
            if count[middle] > h:
                above = middle
            else:
                following = middle + 1
        end = detections  # rank of the last point at this recall
        if h < hits:
            end = last[following] - (count[following] - h)
        start = 1.0 if end == 0 else max(h / end, envelope[following])
        left, right = h / labelled, 1.0 if h == hits else (h + 1) / labelled
        y = 0.0
        if x < 1.0:
            y = start + (envelope[following] - start) / (right - left) * (x - left)
        if step > 0:
            area += (y + before) / 2 * (x - (step - 1) * 0.01)
        before = y
    return area


@compiled()
def _at_confidences(
    rank: NDArray[np.int64],
    marks: NDArray[np.int32],
    drawn: NDArray[np.int32],
    image: NDArray[np.int32],
    score: NDArray[np.float64],
    hits: NDArray[np.int32],
    passed: NDArray[np.int64],
    labelled: int,
    confidences: NDArray[np.float64],
    precision: NDArray[np.float64],
    recall: NDArray[np.float64],
) -> None:
    """Precision and recall at confidences (k,), straight between neighbouring scores.

    Over the best score precision is 1 and recall 0; under the worst one they stay. ``hits`` and
    ``passed`` (k,) are marks.
    """
    done, count = 0, 0  # hits whose score reaches the confidence, and their copies
    known = 0  # the value of `taken` that the next six are of
    here, found, upper, lower, rise, gain = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for k in range(len(confidences) - 1, -1, -1):
        confidence, end = confidences[k], passed[k]
        while done < len(hits) and hits[done] < end:
            count += rank[hits[done] + 1] - rank[hits[done]]
            done += 1
        taken = rank[end]
        if taken == 0:
            precision[k], recall[k] = 1.0, 0.0
            continue
        if taken != known:
            known, here, found = taken, count / taken, count / labelled
            if taken < rank[-1]:
                last = marks[end] - 1  # the detection of lowest score among them that was drawn
                while drawn[image[last]] == 0:
                    last -= 1
                following = marks[end]  # the next detection that was drawn, its first copy
                while drawn[image[following]] == 0:
                    following += 1
                after = done  # the first hit from there on
                while after < len(hits) and marks[hits[after]] < following:
                    after += 1
                next_count = count + (after < len(hits) and marks[hits[after]] == following)
                upper, lower = score[last], score[following]
                rise, gain = next_count / (taken + 1) - here, next_count / labelled - found
        precision[k], recall[k] = here, found
        if taken == rank[-1] or upper == confidence:
            continue
        share = (upper - confidence) / (upper - lower)
        precision[k] += share * rise
        recall[k] += share * gain


@compiled()
def _best_f1(precision: NDArray[np.float64], recall: NDArray[np.float64], width: int) -> int:
    """Where the classes' mean F1, smoothed over ``width`` confidences, is highest.

    Operation for operation what ``average_precision.best_f1`` does: where two confidences are
    equally good, rounding decides, and must decide alike.
    """
    classes, k = precision.shape
    reach = width // 2
    padded = np.zeros(k + 2 * reach)
    mean = padded[reach : reach + k]
    for c in range(classes):
        p, r = precision[c], recall[c]
        for i in range(k):
            mean[i] += 2 * p[i] * r[i] / (p[i] + r[i] + 1e-16)
    mean /= classes
    padded[:reach], padded[reach + k :] = mean[0], mean[-1]
    smooth = np.zeros(k)
    for offset in range(width):
        for i in range(k):
            smooth[i] += padded[offset + i]
    return int(smooth.argmax())


@compiled()
def resample(
    ranked: Ranked,
    counts: NDArray[np.int32],
    confidences: NDArray[np.float64],
    width: int,
    result: NDArray[np.float64],
) -> None:
    """Fill ``result`` with the statistics of each draw, as ``summarize`` defines them.

    Args:
        ranked: The matches of all images.
        counts: int32 (d, images), how often each draw has each image.
        confidences: float64 (k,), rising.
        width: Of the smoothing, in confidences; odd.
        result: float64 (d, 4), written: precision, recall, AP at the first threshold and over all;
            NaN for draws without a label.
    """
    classes, thresholds = len(ranked.labels), (len(ranked.hits_start) - 1) // len(ranked.labels)
    most = max(1, len(ranked.marks))
    ranks = np.empty(most, np.int64)
    last, count, envelope = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most + 1)
    precision = np.empty((classes, len(confidences)))
    recall = np.empty((classes, len(confidences)))
    for d in range(len(counts)):
        ap_first, ap_all, present = 0.0, 0.0, 0
        drawn = counts[d]
        for c in range(classes):
            labelled = (drawn * ranked.labels[c]).sum()
            if labelled == 0:
                continue
            here = slice(ranked.start[c], ranked.start[c + 1])
            marks = ranked.marks[ranked.marks_start[c] : ranked.marks_start[c + 1]]
            rank = ranks[: len(marks)]
            _ranks(drawn, ranked.image[here], ranked.marked[here], rank)
            precision[present], recall[present] = 0.0, 0.0
            if rank[-1] > 0:
                for t in range(thresholds):
                    begin, end = ranked.hits_start[c * thresholds + t : c * thresholds + t + 2]
                    hits = _drawn_hits(rank, ranked.hits[begin:end], last, count)
                    ap = _average_precision(last[:hits], count[:hits], rank[-1], labelled, envelope)
                    ap_all += ap / thresholds
                    ap_first += ap * (t == 0)
                begin, end = ranked.hits_start[c * thresholds : c * thresholds + 2]
                _at_confidences(
                    rank, marks, drawn, ranked.image[here], ranked.score[here],
                    ranked.hits[begin:end], ranked.passed[c], labelled, confidences,
                    precision[present], recall[present],
                )  # fmt: skip
            present += 1
        result[d] = np.nan
        if present > 0:
            best = _best_f1(precision[:present], recall[:present], width)
            result[d, 0] = precision[:present, best].mean()
            result[d, 1] = recall[:present, best].mean()
            result[d, 2] = ap_first / present
            result[d, 3] = ap_all / present
