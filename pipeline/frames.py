"""Frames and pairs: what flows through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.errors import DataError, shown
from detection.boxes import Detections
from eval.labels import Labels
from eval.light import Light

Modality = Literal["ir", "vis"]
MODALITIES: tuple[Modality, Modality] = ("ir", "vis")
Image = NDArray[Any]  # HWC RGB uint8 | HW uint8 | HW uint16 | HW float32, as decoded


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded image.

    Attributes:
        image: HWC RGB uint8, HW uint8 or HW uint16.
        timestamp_ns: Presentation time in nanoseconds, None for stills.
        index: Position in its own stream, from 0; -1 where it only stands in for a missing one.
    """

    image: Image
    timestamp_ns: int | None
    index: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


class WholePair(NamedTuple):
    """A pair whose frames are both there."""

    key: str
    ir: Frame
    vis: Frame


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """The infrared and the visible frame of one moment; at least one of them is there.

    Files are named by the key; where it holds a `/`, in folders below.

    Raises:
        DataError: The key is no path below a folder.
    """

    key: str
    ir: Frame | None
    vis: Frame | None

    def __post_init__(self) -> None:
        if self.ir is None and self.vis is None:
            raise ValueError(f"pair {self.key!r} has no frame")
        parts = self.key.split("/")
        if {"", ".", ".."}.intersection(parts) or any(c in self.key for c in "\\\0"):
            raise DataError(f"pair {shown(self.key)}: a key becomes a file name below a folder")

    def whole(self) -> "WholePair":
        """Both frames; for pairs without a ``problem``."""
        if self.ir is None or self.vis is None:
            raise ValueError(f"pair {self.key!r} is not whole")
        return WholePair(self.key, self.ir, self.vis)

    def problem(self) -> str | None:
        """Why this pair can't be fused, one line for the user; None where it can."""
        if self.ir is None or self.vis is None:
            missing, index = ("infrared", self.vis) if self.ir is None else ("visible", self.ir)
            return f"pair {self.key}: frame {index.index if index else 0} has no {missing} partner"
        if self.ir.size != self.vis.size:
            (ih, iw), (vh, vw) = self.ir.size, self.vis.size
            return (
                f"pair {self.key}: sizes differ, infrared {iw}x{ih} and visible {vw}x{vh}; "
                "register or scale the pair first"
            )
        return None


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


@dataclass(frozen=True, slots=True)
class BadPair:
    """A pair that its source could not deliver whole; the runner stops or writes it in the ledger.

    Attributes:
        key: The pair's key.
        reason: One line for the user: what is wrong with which file, and how to mend it.
    """

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A frame of a live camera that was decoded and given up, for the rest was too slow.

    Attributes:
        camera: Whose.
        index: Position in its own stream, from 0.
        reason: One line for the user.
    """

    camera: Modality
    index: int
    reason: str


class Misalignment(NamedTuple):
    """What moves a pair's infrared image off its visible one.

    Attributes:
        dx: How much further right the infrared image shows things, in pixels of the given images.
        dy: How much further down.
        response: In [0, 1], by how much the best shift correlates better than the next best one;
            below ``pipeline.geometry.misalignment.TELLING`` the shift is a guess. 0 where what fits
            best lies beyond the reach and, with a shift of NaN, where one of the two shows no edge
            at all.
    """

    dx: float
    dy: float
    response: float


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A whole pair on its way through the stages.

    Attributes:
        pair: Infrared and visible frame, both there, of one size.
        labels: Ground truth, None where the source has none.
        ready: Ready-made fused images by arm, HWC RGB uint8.
        light: Whether it was taken by day or at night; None where nobody asks.
        dead: The camera that shows nothing here: the pair is fused from the other one alone, and no
            number counts it. None in the normal case.
        misalignment: How far the images are apart; None where one camera is dead.
    """

    pair: FramePair
    labels: Labels | None
    ready: Mapping[str, NDArray[np.uint8]]
    light: Light | None = None
    dead: Modality | None = None
    misalignment: Misalignment | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pair.whole().vis.size


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What every arm made of one pair.

    Attributes:
        number: Position among the pairs that were processed, from 0.
        item: The pair and its labels.
        images: What the detector saw, by arm, uint8 [3, H, W] on the compute device.
        detections: By arm; empty where there is no detector.
        quality: By arm and metric, NaN where not defined; empty where not asked for.
    """

    number: int
    item: Item
    images: Mapping[str, Tensor]
    detections: Mapping[str, Detections]
    quality: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    _host: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def image(self, arm: str) -> NDArray[np.uint8]:
        """An arm's image as HWC RGB uint8, copied from the device once for all sinks."""
        if arm not in self._host:
            self._host[arm] = self.images[arm].permute(1, 2, 0).contiguous().cpu().numpy()
        return self._host[arm]
