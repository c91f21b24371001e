"""Ground truth: what is in an image, and the files that say so."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The ground truth of one image, in pixels of the original image.

    Attributes:
        xyxy: float64 (n, 4), left, top, right, bottom.
        class_id: int64 (n,).
        ignore: float64 (m, 4), regions that count neither way: a detection with over half of its
            area inside one, and that hits no label, is neither hit nor miss.
    """

    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    ignore: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.class_id)

    @classmethod
    def empty(cls) -> "Labels":
        """An image with nothing on it."""
        return cls(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros((0, 4)))
