"""Whether both cameras of a recording still show something: black, frozen and stopped ones.

A camera whose picture is dead says nothing about the street, but the other one still does: its
frames are fused from that one alone, and counted apart. All is decided from the frames so far, so a
live source and a resumed run decide alike.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.frames import MODALITIES, Frame, FramePair, Image, Modality

NAMES = {"ir": "infrared", "vis": "visible"}

FROZEN = 10  # equal pictures in a row: coders and slow cameras repeat one or two
FLAT = 4  # levels of 255 between darkest and brightest: a covered lens, or no signal
STOPPED_NS = 1_000_000_000  # without a frame, while the other camera goes on


@dataclass(slots=True)
class _Camera:
    """What is remembered of one camera."""

    picture: Image | None = None
    equal: int = 0
    seen_ns: int | None = None


@dataclass(slots=True)
class Health:
    """Tells, pair by pair and in order, which camera is dead."""

    _cameras: dict[Modality, _Camera] = field(
        default_factory=lambda: {c: _Camera() for c in MODALITIES}
    )

    def __call__(self, pair: FramePair) -> tuple[Modality, str] | None:
        """The camera that shows nothing and why, one line; None where both do, or neither.

        A frame without partner is no dead camera yet: the other one may have lost this frame alone.
        """
        frames: dict[Modality, Frame | None] = {"ir": pair.ir, "vis": pair.vis}
        reasons = {camera: self._look(camera, frames) for camera in MODALITIES}
        dead = [camera for camera in MODALITIES if reasons[camera] is not None]
        if len(dead) != 1 or frames["vis" if dead[0] == "ir" else "ir"] is None:
            return None
        return dead[0], f"pair {pair.key}: the {NAMES[dead[0]]} camera {reasons[dead[0]]}"

    def _look(self, camera: Modality, frames: dict[Modality, Frame | None]) -> str | None:
        known, frame = self._cameras[camera], frames[camera]
        if frame is None:
            return self._stopped(known, frames["vis" if camera == "ir" else "ir"])
        known.seen_ns = frame.timestamp_ns
        same = known.picture is not None and np.array_equal(known.picture, frame.image)
        known.equal = known.equal + 1 if same else 1
        known.picture = frame.image
        if is_flat(frame.image):
            return "shows one level all over"
        if known.equal >= FROZEN:
            return f"has shown the same picture {known.equal} times"
        return None

    def _stopped(self, known: _Camera, other: Frame | None) -> str | None:
        if other is None or other.timestamp_ns is None:
            return None
        if known.seen_ns is None:  # it may not have begun yet
            known.seen_ns = other.timestamp_ns
        gap = other.timestamp_ns - known.seen_ns
        return f"has given no frame for {gap / 1e9:.1f} s" if gap > STOPPED_NS else None


def is_flat(image: NDArray[np.uint8] | Image) -> bool:
    """Whether an image has hardly more than one level: under ``FLAT`` of its 255, or of 65,535.

    Every fourth row and column is looked at.
    """
    few = image[::4, ::4]
    step = 1 if image.dtype == np.uint8 else 257
    return int(few.max()) - int(few.min()) < FLAT * step
