"""Frames and pairs: what flows through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[Any]  # HWC RGB uint8 | HW uint8 | HW uint16, as decoded


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded image.

    Attributes:
        image: HWC RGB uint8, HW uint8 or HW uint16.
        timestamp_ns: Presentation time in nanoseconds, None for stills.
        index: Position in its own stream, from 0.
    """

    image: Image
    timestamp_ns: int | None
    index: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """The infrared and the visible frame of one moment; at least one of them is there."""

    key: str
    ir: Frame | None
    vis: Frame | None

    def __post_init__(self) -> None:
        if self.ir is None and self.vis is None:
            raise ValueError(f"pair {self.key!r} has no frame")


@dataclass(frozen=True, slots=True, eq=False)
class PairBatch:
    """Consecutive pairs of one size on the compute device.

    Attributes:
        keys: B pair keys; the last one repeats where the batch was padded.
        ir: uint8 [B, 1, H, W].
        vis: uint8 [B, 3, H, W], RGB.
        ready: Ready-made fused images by arm name, uint8 [B, 3, H, W]; for ``folder`` arms.
    """

    keys: tuple[str, ...]
    ir: Tensor
    vis: Tensor
    ready: Mapping[str, Tensor] = field(default_factory=dict)


def to_rgb(image: Image) -> NDArray[np.uint8]:
    """HWC RGB uint8 of an 8-bit image, grey or colour."""
    if image.ndim == 2:
        return np.repeat(image[:, :, None], 3, axis=2)
    return image


@dataclass(frozen=True, slots=True)
class BadPair:
    """A pair that its source could not deliver whole; the runner stops or writes it in the ledger.

    Attributes:
        key: The pair's key.
        reason: One line for the user: what is wrong with which file, and how to mend it.
    """

    key: str
    reason: str
