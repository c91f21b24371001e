"""The detections of one image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision as sv


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The detections of one image.

    Attributes:
        xyxy: float32 (n, 4), left, top, right, bottom, in pixels of the original image.
        score: float32 (n,), in [0, 1].
        class_id: int64 (n,).

    Raises:
        ValueError: The shapes disagree, or a number is NaN or infinite.
    """

    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    class_id: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.score)
        if self.xyxy.shape != (n, 4) or self.score.shape != (n,) or self.class_id.shape != (n,):
            raise ValueError(
                f"shapes disagree: xyxy {self.xyxy.shape}, score {self.score.shape}, "
                f"class_id {self.class_id.shape}"
            )
        if not (np.isfinite(self.xyxy).all() and np.isfinite(self.score).all()):
            raise ValueError("a box or score is NaN or infinite")

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> "Detections":
        """Select detections by a mask or by indices."""
        return Detections(self.xyxy[index], self.score[index], self.class_id[index])

    def to_supervision(self) -> "sv.Detections":
        """As ``supervision.Detections``, whose annotators, trackers and zones take them."""
        import supervision

        return supervision.Detections(xyxy=self.xyxy, confidence=self.score, class_id=self.class_id)

    @classmethod
    def empty(cls) -> "Detections":
        """No detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))

    @classmethod
    def concatenate(cls, parts: "list[Detections]") -> "Detections":
        """Join several sets of detections of the same image, in the given order."""
        if not parts:
            return cls.empty()
        return cls(
            np.concatenate([part.xyxy for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.class_id for part in parts]),
        )
