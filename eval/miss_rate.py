"""Log-average miss rate, the measure of pedestrian detection (Dollar et al., PAMI 2012; KAIST)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.labels import Labels
from eval.matches import Matches

_FALSE_POSITIVES = np.logspace(-2, 0, 9)  # an image
_FLOOR = 1e-10  # a miss rate of 0 has no logarithm
_OVERLAP = 0.5
_TINY = 1e-12  # no area is less


def log_average_miss_rate(matches: Matches, class_id: int) -> float | None:
    """Geometric mean of the miss rate at 0.01... 1 false positives an image, in nine steps.

    Detections of the class are taken best score first, hits by the YOLO rule at IoU 0.5. After each
    there is a point: false positives so far over images, and the share of labels not hit so far. At
    each of the nine references the miss rate is that of the last point that doesn't exceed it, and
    1 where the curve starts beyond it. (Codes that take index -1 there read the curve's far end
    instead, its lowest miss rate.)

    Args:
        matches: One arm's; of its images those without labels count too.
        class_id: The class.

    Returns:
        In [1e-10, 1], lower is better; None where the class has no labels.
    """
    labels = int((matches.label_class == class_id).sum())
    return _average(matches.hit[matches.class_id == class_id, 0], labels, matches.images)


def pedestrian_miss_rate(
    detections: Sequence[Detections], labels: Sequence[Labels], class_id: int
) -> float | None:
    """The same average with the matching of the pedestrian benchmarks (Caltech, KAIST).

    In each image, detections of the class are taken best score first. One takes the label that it
    overlaps most, at an IoU of 0.5 at least, among those that no better one took. Else it is left
    out if at least half of its area lies in a region to ignore; a region takes any number of them.
    Else it is a false positive.

    Args:
        detections: One entry an image.
        labels: Likewise; what is beyond the subset that counts is in the regions to ignore.
        class_id: The class.

    Returns:
        As ``log_average_miss_rate``.
    """
    scores, hits, total = [], [], 0
    for found, truth in zip(detections, labels, strict=True):
        mine = found.class_id == class_id
        order = np.argsort(-found.score[mine], kind="stable")
        xyxy = found.xyxy[mine][order].astype(np.float64)  # (d, 4)
        objects = truth.xyxy[truth.class_id == class_id]  # (m, 4)
        hit, counts = _match(xyxy, objects, truth.ignore)
        scores.append(found.score[mine][order][counts])
        hits.append(hit[counts])
        total += len(objects)
    if total == 0:
        return None
    ranked = np.argsort(-np.concatenate(scores), kind="stable")
    return _average(np.concatenate(hits)[ranked], total, len(labels))


def _match(
    xyxy: NDArray[np.float64], objects: NDArray[np.float64], ignore: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of detections (d, 4), best first: which hit one of (m, 4), and which count at all: (d,)."""
    shared = _shared(xyxy, objects)  # (d, m)
    union = _area(xyxy)[:, None] + _area(objects) - shared
    iou = shared / np.maximum(union, _TINY)
    inside = _shared(xyxy, ignore) / np.maximum(_area(xyxy), _TINY)[:, None]  # (d, regions)
    hit = np.zeros(len(xyxy), bool)
    for index, row in enumerate(iou):
        if row.size and row.max() >= _OVERLAP:
            hit[index] = True
            iou[:, row.argmax()] = 0.0  # taken
    return hit, hit | ~(inside >= _OVERLAP).any(axis=1)


def _shared(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Common areas (d, m) of boxes (d, 4) and (m, 4)."""
    sides = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    return np.asarray(np.maximum(sides, 0.0).prod(axis=2))


def _area(xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1))


def _average(hit: NDArray[np.bool_], labels: int, images: int) -> float | None:
    """The average of detections that hit or not, best score first."""
    if labels == 0:
        return None
    false_positives = (~hit).cumsum() / images
    miss_rate = np.append(1.0, 1 - hit.cumsum() / labels)  # the first is before all detections
    points = np.searchsorted(false_positives, _FALSE_POSITIVES, side="right")
    return float(np.exp(np.log(np.maximum(miss_rate[points], _FLOOR)).mean()))
