"""Faults of recordings: dropped and frozen frames."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Camera = Literal["ir", "vis"]
_NUMBERS: dict[Camera, int] = {"ir": 0, "vis": 1}


@dataclass(frozen=True, slots=True)
class Faults:
    """Frames that a camera drops or freezes, drawn at random for each frame independently.

    Attributes:
        seed: Seed of the run.
        dropped: Share of a camera's frames that are missing.
        frozen: Share of a camera's frames that repeat the previous image.
    """

    seed: int
    dropped: float
    frozen: float

    def drops(self, camera: Camera, index: int) -> bool:
        """Whether a frame is missing."""
        return self._lot(camera, index) < self.dropped

    def freezes(self, camera: Camera, index: int) -> bool:
        """Whether a frame repeats the previous image; the first frame of a clip cannot."""
        return self.dropped <= self._lot(camera, index) < self.dropped + self.frozen

    def shown(self, camera: Camera, index: int, first: int) -> int:
        """The frame whose image is shown at ``index``; ``first`` is the first of the clip."""
        while index > first and self.freezes(camera, index):
            index -= 1
        return index

    def _lot(self, camera: Camera, index: int) -> float:
        return float(np.random.default_rng([self.seed, 11, _NUMBERS[camera], index]).random())
