"""What each arm finds in each single pair, at the confidence of ``eval.operating_points``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.labels import Labels
from eval.matches import match_images
from eval.operating_points import CONFIDENCE


@dataclass(frozen=True, slots=True, eq=False)
class Finds:
    """What an arm finds in one pair.

    Attributes:
        found: bool (m,): which of the labelled objects, at IoU 0.5.
        false: Number of detections that hit none.
    """

    found: NDArray[np.bool_]
    false: int

    @property
    def errors(self) -> int:
        """Missed objects and false detections."""
        return int((~self.found).sum()) + self.false


def finds(detections: Sequence[Detections], labels: Sequence[Labels]) -> list[Finds]:
    """What an arm finds in each image.

    Args:
        detections: The arm's, one entry an image.
        labels: Of the scored classes, one entry an image.
    """
    matches = match_images(list(detections), list(labels))
    false = (matches.score >= CONFIDENCE) & ~matches.hit[:, 0]  # (n,)
    numbers = np.bincount(matches.image[false], minlength=matches.images)
    found = matches.label_score >= CONFIDENCE  # (m,) of all images
    starts = np.searchsorted(matches.label_image, np.arange(matches.images + 1))
    return [Finds(found[starts[i] : starts[i + 1]], int(numbers[i])) for i in range(matches.images)]


def rescued(mine: Finds, alone: Mapping[str, Finds]) -> NDArray[np.bool_]:
    """Which objects an arm finds that no single modality finds: bool (m,)."""
    return np.asarray(mine.found & ~_any(alone))


def lost(mine: Finds, alone: Mapping[str, Finds]) -> NDArray[np.bool_]:
    """Which objects an arm misses that a single modality finds: bool (m,)."""
    return np.asarray(~mine.found & _any(alone))


def _any(alone: Mapping[str, Finds]) -> NDArray[np.bool_]:
    """Which objects any of some arms finds: bool (m,)."""
    return np.asarray(np.any([each.found for each in alone.values()], axis=0))
