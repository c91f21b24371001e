"""Detects a dead camera of a recording: black, frozen or stopped.

Its pairs fall back to the other camera's image and are counted as `fallback`. Decisions use past
frames only, so live sources and resumed runs decide alike.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.modality import MODALITIES, OTHER, Modality
from pipeline.frames import Frame, FramePair, Image

NAMES = {"ir": "infrared", "vis": "visible"}

FROZEN = 10  # equal images in a row; codecs and slow cameras repeat one or two
FLAT = 4  # levels of 255 between darkest and brightest; less is a covered lens or no signal
STOPPED_NS = 1_000_000_000  # without a frame while the other camera delivers


@dataclass(slots=True)
class _Camera:
    """The state of one camera: its last image, how often it came in a row, and its time."""

    image: Image | None = None
    repeats: int = 0
    time_ns: int | None = None


@dataclass(slots=True)
class Health:
    """Finds the dead camera of each pair; takes the pairs in order."""

    _cameras: dict[Modality, _Camera] = field(
        default_factory=lambda: {c: _Camera() for c in MODALITIES}
    )

    def __call__(self, pair: FramePair) -> tuple[Modality, str] | None:
        """The modality whose camera is dead, and a one-line reason; None if none or both are.

        A single frame without partner doesn't make a camera dead.
        """
        frames: dict[Modality, Frame | None] = {"ir": pair.ir, "vis": pair.vis}
        reasons = {modality: self._reason(modality, frames) for modality in MODALITIES}
        dead = [modality for modality in MODALITIES if reasons[modality] is not None]
        if len(dead) != 1 or frames[OTHER[dead[0]]] is None:
            return None
        return dead[0], f"pair {pair.key}: the {NAMES[dead[0]]} camera {reasons[dead[0]]}"

    def _reason(self, modality: Modality, frames: dict[Modality, Frame | None]) -> str | None:
        """Why the camera of a modality is dead; None if it isn't."""
        camera, frame = self._cameras[modality], frames[modality]
        if frame is None:
            return _stopped(camera, frames[OTHER[modality]])
        camera.time_ns = frame.timestamp_ns
        same = camera.image is not None and np.array_equal(camera.image, frame.image)
        camera.repeats = camera.repeats + 1 if same else 1
        camera.image = frame.image
        if is_flat(frame.image):
            return "shows one level all over"
        if camera.repeats >= FROZEN:
            return f"has shown the same picture {camera.repeats} times"
        return None


def _stopped(camera: _Camera, other: Frame | None) -> str | None:
    """Why a camera without a frame has stopped; None if it may not have, or the other one has."""
    if other is None or other.timestamp_ns is None:
        return None
    if camera.time_ns is None:  # it may not have begun yet
        camera.time_ns = other.timestamp_ns
    gap = other.timestamp_ns - camera.time_ns
    return f"has given no frame for {gap / 1e9:.1f} s" if gap > STOPPED_NS else None


def is_flat(image: NDArray[np.uint8] | Image) -> bool:
    """Whether an image's range is under ``FLAT`` levels of 255 (8 bit), or of 65,535 scaled.

    Every fourth row and column is sampled.
    """
    sample = image[::4, ::4]
    step = 1 if image.dtype == np.uint8 else 257
    return int(sample.max()) - int(sample.min()) < FLAT * step
