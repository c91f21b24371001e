"""What an arm does at one confidence, as a user of the detector would set it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.matches import Matches

CONFIDENCE = 0.25  # yolov5's detect.py
FALSE_POSITIVES = 0.1  # an image: the middle of the log-average miss rate's range


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """All classes together, IoU 0.5.

    Attributes:
        confidence: Detections that score at least this count.
        precision: Hits over detections; None where there are no detections.
        recall: Labels found over labels; None where there are no labels.
        f1: 2 hits / (detections + labels); None where there are neither.
        false_positives: An image.
    """

    confidence: float
    precision: float | None
    recall: float | None
    f1: float | None
    false_positives: float


def at_confidence(matches: Matches, confidence: float = CONFIDENCE) -> OperatingPoint:
    """The operating point at a confidence."""
    taken = matches.score >= confidence
    hits, detections = int(matches.hit[taken, 0].sum()), int(taken.sum())
    labels = len(matches.label_class)
    return OperatingPoint(
        confidence=confidence,
        precision=_share(hits, detections),
        recall=_share(hits, labels),
        f1=_share(2 * hits, detections + labels),
        false_positives=(detections - hits) / matches.images,
    )


def confidence_at(matches: Matches, false_positives: float = FALSE_POSITIVES) -> float:
    """The lowest confidence with at most so many false positives an image; 0 if all may stay."""
    misses = matches.score[~matches.hit[:, 0]]  # best first
    allowed = int(false_positives * matches.images)
    if len(misses) <= allowed:
        return 0.0
    return float(np.nextafter(misses[allowed], np.inf))


def image_f1(matches: Matches, confidence: float = CONFIDENCE) -> NDArray[np.float64]:
    """F1 of each image (images,); NaN where nothing is labelled and nothing found."""
    taken = matches.score >= confidence
    images = matches.images
    detections = np.bincount(matches.image[taken], minlength=images)
    hits = np.bincount(matches.image[taken & matches.hit[:, 0]], minlength=images)
    total = detections + np.bincount(matches.label_image, minlength=images)
    f1 = np.full(images, np.nan)
    np.divide(2 * hits, total, out=f1, where=total > 0)
    return f1


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
