"""Frames and pairs: what flows through the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.errors import DataError, shown
from common.modality import Modality
from detection.boxes import Detections
from eval.labels import Labels
from eval.light import Light

Image = NDArray[Any]  # HWC RGB uint8 | HW uint8 | HW uint16 | HW float32, as decoded


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded image.

    Attributes:
        image: HWC RGB uint8, HW uint8 or HW uint16.
        timestamp_ns: Presentation time in nanoseconds, None for stills.
        index: Position in its own stream, from 0; -1 for a black frame in place of a missing one.
    """

    image: Image
    timestamp_ns: int | None
    index: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


class WholePair(NamedTuple):
    """A pair that has both frames."""

    key: str
    ir: Frame
    vis: Frame


@dataclass(frozen=True, slots=True, eq=False)
class FramePair:
    """The infrared and the visible frame of one moment; at most one is missing.

    Files are named by the key; a `/` in it makes subfolders.

    Attributes:
        key: Its name, unique in the run.
        ir: The infrared frame.
        vis: The visible frame.
        index: Position among the pairs of its source if they are stills, each by itself; None for
            those of a recording.
        recording: Which recording or folder of a collection it is from, from 0.

    Raises:
        DataError: The key is not a relative path inside a folder.
    """

    key: str
    ir: Frame | None
    vis: Frame | None
    index: int | None = None
    recording: int = 0

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
        """Why this pair can't be fused, one line for the user; None if it can."""
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
        keys: B pair keys; padding repeats the last one.
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
    """A pair that its source could not read; it ends the run or is written to the ledger.

    Attributes:
        key: The pair's key.
        reason: One line for the user: what is wrong with which file, and how to fix it.
        modality: The camera of a single frame of a recording; None for a pair.
    """

    key: str
    reason: str
    modality: Modality | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """A decoded frame of a live camera that was discarded because the pipeline was too slow.

    Attributes:
        modality: Of its camera.
        index: Position in its own stream, from 0.
        reason: One line for the user.
    """

    modality: Modality
    index: int
    reason: str


class Misalignment(NamedTuple):
    """The shift of a pair's infrared image against its visible one.

    Attributes:
        dx: To the right, in pixels of the given images.
        dy: Down.
        response: In [0, 1], by how much the best shift correlates better than the next best one;
            below ``pipeline.geometry.misalignment.TELLING`` the shift is unreliable. 0 if the best
            shift is out of reach, or, with a shift of NaN, if one image has no edges.
    """

    dx: float
    dy: float
    response: float


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A whole pair on its way through the stages.

    Attributes:
        pair: Infrared and visible frame of one size, none missing.
        labels: Ground truth, None if the source has none.
        own_labels: By camera, the ground truth of the arms that show it alone; empty where that is
            ``labels`` too.
        ready: Ready-made fused images by arm, HWC RGB uint8.
        light: Day or night; None without labels.
        dead: The modality whose camera is dead: the pair falls back to the other one and is not
            scored. None in the normal case.
        misalignment: None if a camera is dead.
    """

    pair: FramePair
    labels: Labels | None
    ready: Mapping[str, NDArray[np.uint8]]
    light: Light | None = None
    dead: Modality | None = None
    misalignment: Misalignment | None = None
    own_labels: Mapping[Modality, Labels] = field(default_factory=dict)

    def truth(self, camera: Modality | None) -> Labels | None:
        """The camera's own ground truth; for None, and without an own one, that of the pair."""
        return self.labels if camera is None else self.own_labels.get(camera, self.labels)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pair.whole().vis.size


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """The images and detections of every arm for one pair.

    Attributes:
        number: Position among the processed pairs, from 0.
        item: The pair and its labels.
        images: The detector's input, by arm, uint8 [3, H, W] on the compute device.
        detections: By arm; empty without a detector.
        quality: By arm and metric, NaN where not defined; empty if not configured.
        masks: By arm, the label of each pixel, uint8 [H, W]; empty without segmenters.
    """

    number: int
    item: Item
    images: Mapping[str, Tensor]
    detections: Mapping[str, Detections]
    quality: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    masks: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    _host: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def image(self, arm: str) -> NDArray[np.uint8]:
        """An arm's image as HWC RGB uint8, copied from the device once for all sinks."""
        if arm not in self._host:
            self._host[arm] = self.images[arm].permute(1, 2, 0).contiguous().cpu().numpy()
        return self._host[arm]
