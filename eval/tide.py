"""Error types (TIDE: Bolya et al., ECCV 2020): what an arm's false alarms and misses cost it.

A detection without a label is of the first of these kinds that fits, with t_f = 0.5, t_b = 0.1:

- localization: t_b <= IoU <= t_f with a label of its class;
- classification: IoU >= t_f with a label of another class;
- duplicate: IoU > t_f with a label of its class, which a better detection has;
- background: IoU <= t_b with every label;
- both: all others, badly placed and of the wrong class.

A label that nothing hits, and that no localization or classification error points at, is missed.

What a kind costs is the gain in AP at IoU 0.5 (101 recalls, as in COCO) if all its errors were
mended and no others. Of the localization and classification errors that point at one free label,
the best becomes a hit and the rest go; duplicate, background and both go; a missed label goes. Two
special kinds ask for one side of the curve: false positive (no false alarm is left) and false
negative (no label is left that isn't hit).

The numbers are those of tidecv 1.0.1, the authors' code, but for these:

- It takes a class that only detections have into the mean, with an AP of 0, so that removing false
  alarms of such classes looks like a gain. Here, as in both conventions, the mean is over classes
  that have labels; detections of others can still be mended.
- It divides by zero where no label and no detection would be left. Here that gain is None.
- Among equal scores its mended curves put false alarms first. Here they keep the images' order.
- Its ignore regions leave what they cover among the errors. Here ``eval.matching.drop_ignored``
  comes before everything, as in both conventions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.columns import Columns
from eval.match_kernel import (
    BACKGROUND,
    BOTH,
    CLASSIFICATION,
    DUPLICATE,
    HIT,
    LOCALIZATION,
    judge_errors,
)

_FOREGROUND = 0.5  # t_f
_CLEAR = 0.1  # t_b
_MOST = 100  # detections an image
_RECALLS = np.arange(101) / 100


@dataclass(frozen=True, slots=True)
class ErrorType:
    """One kind of error.

    Attributes:
        gain: What mending all of them would add to the AP, a fraction in [0, 1]; None without
            labels, and where nothing would be left to score.
        count: How many there are.
    """

    gain: float | None
    count: int


@dataclass(frozen=True, slots=True)
class TideResult:
    """AP at IoU 0.5 with the 100 best detections an image, and what each kind of error costs.

    Attributes:
        ap: A fraction in [0, 1], mean over the classes that are in the labels; None without any.
    """

    ap: float | None
    classification: ErrorType
    localization: ErrorType
    both: ErrorType
    duplicate: ErrorType
    background: ErrorType
    missed: ErrorType
    false_positive: ErrorType
    false_negative: ErrorType


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """The detections of all images, best score first, and the labels.

    Attributes:
        class_id: int64 (n,).
        kind: int8 (n,), ``HIT`` or which error.
        label: int64 (n,), which label the detection hits or its error points at; -1 for none.
        label_class: int64 (m,).
    """

    class_id: NDArray[np.int64]
    kind: NDArray[np.int8]
    label: NDArray[np.int64]
    label_class: NDArray[np.int64]


def tide(columns: Columns) -> TideResult:
    """Sort an arm's errors by kind and say what each kind costs."""
    judged = _judge(columns)
    hit = judged.kind == HIT
    taken = _marked(judged.label[hit], len(judged.label_class))  # (m,)
    # Which errors point at a label that is free, and which is the best one of its label.
    points = np.isin(judged.kind, (LOCALIZATION, CLASSIFICATION))
    points[points] = ~taken[judged.label[points]]
    _, first = np.unique(judged.label[points], return_index=True)
    best = _marked(np.flatnonzero(points)[first], len(hit))
    missed = ~taken & ~_marked(judged.label[points], len(taken))
    now = _mean_ap(judged, hit)

    def cost(errors: NDArray[np.bool_], value: float | None) -> ErrorType:
        gain = None if value is None or now is None else max(value - now, 0.0)
        return ErrorType(gain, int(errors.sum()))

    def kind(number: int) -> ErrorType:
        errors = judged.kind == number
        return cost(errors, _mean_ap(judged, hit | (errors & best), gone=errors & ~best))

    return TideResult(
        ap=now,
        classification=kind(CLASSIFICATION),
        localization=kind(LOCALIZATION),
        both=kind(BOTH),
        duplicate=kind(DUPLICATE),
        background=kind(BACKGROUND),
        missed=cost(missed, _mean_ap(judged, hit, labels_gone=missed)),
        false_positive=cost(~hit, _mean_ap(judged, hit, gone=~hit)),
        false_negative=cost(~taken, _mean_ap(judged, hit, labels_gone=~taken)),
    )


def _judge(columns: Columns) -> _Judged:
    """Match each image's best detections and name the errors."""
    best = columns.chosen(columns.place < _MOST)
    found, labels = best.found, best.labels
    kind, label = np.empty(len(found), np.int8), np.empty(len(found), np.int64)
    judge_errors(
        found.xyxy, found.class_id, best.start, labels.xyxy, labels.class_id, labels.start,
        _FOREGROUND, _CLEAR, kind, label,
    )  # fmt: skip
    order = np.argsort(-found.score, kind="stable")
    return _Judged(found.class_id[order], kind[order], label[order], labels.class_id)


def _marked(indices: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """A mask (length,) that is true at the indices."""
    mask = np.zeros(length, np.bool_)
    mask[indices] = True
    return mask


def _mean_ap(
    judged: _Judged,
    hit: NDArray[np.bool_],
    *,
    gone: NDArray[np.bool_] | None = None,
    labels_gone: NDArray[np.bool_] | None = None,
) -> float | None:
    """Mean AP over the classes that are in the labels.

    Args:
        judged: What there is.
        hit: (n,), which detections count as hits, of their label's class.
        gone: (n,), detections to leave out.
        labels_gone: (m,), labels to leave out; a class without label and detection then has no AP.
    """
    classes = np.unique(judged.label_class)
    if len(classes) == 0:
        return None
    class_id = judged.class_id.copy()
    class_id[hit] = judged.label_class[judged.label[hit]]
    label_class = judged.label_class
    if gone is not None:
        hit, class_id = hit[~gone], class_id[~gone]
    if labels_gone is not None:
        label_class = label_class[~labels_gone]
    values = []
    for number in classes:
        mine, positives = hit[class_id == number], int((label_class == number).sum())
        if positives or len(mine):
            values.append(_average_precision(mine, positives))
    return float(np.mean(values)) if values else None


def _average_precision(hit: NDArray[np.bool_], positives: int) -> float:
    """Mean over 101 recalls of the best precision at that recall or a higher one; hits (k,)."""
    if positives == 0 or len(hit) == 0:
        return 0.0
    hits = hit.cumsum()
    envelope = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(hits / positives, _RECALLS)
    return float(envelope[at[at < len(hits)]].sum() / len(_RECALLS))
