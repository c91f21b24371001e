"""What goes wrong with recordings: frames that are dropped, and frames that are frozen."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

Camera = Literal["ir", "vis"]
_NUMBERS: dict[Camera, int] = {"ir": 0, "vis": 1}


@dataclass(frozen=True, slots=True)
class Faults:
    """Which frames a camera drops or freezes: a lot for each frame, whatever came before.

    Attributes:
        seed: Of the run.
        dropped: Share of a camera's frames that are missing.
        frozen: Share of a camera's frames that show the one before once more.
    """

    seed: int
    dropped: float
    frozen: float

    def drops(self, camera: Camera, index: int) -> bool:
        """Whether a frame is missing."""
        return self._lot(camera, index) < self.dropped

    def freezes(self, camera: Camera, index: int) -> bool:
        """Whether a frame shows the picture before it; a clip's first frame can't."""
        return self.dropped <= self._lot(camera, index) < self.dropped + self.frozen

    def shown(self, camera: Camera, index: int, first: int) -> int:
        """The frame whose picture is seen at ``index``; ``first`` begins the clip."""
        while index > first and self.freezes(camera, index):
            index -= 1
        return index

    def _lot(self, camera: Camera, index: int) -> float:
        return float(np.random.default_rng([self.seed, 11, _NUMBERS[camera], index]).random())
