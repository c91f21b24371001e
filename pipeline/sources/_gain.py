"""Automatic gain: which counts of a 16-bit infrared recording become black and white.

Every camera has a gain of its own, through which all of its frames go in order. It looks at past
frames and the present one alone and at no clock, so a resume that decodes the recording again from
its start gets the same pictures.
"""

import logging
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.frames import Image
from pipeline.images import outside, to_eight_bit

log = logging.getLogger(__name__)
WINDOW = 50  # frames, two seconds of a 25 Hz camera
SHARES = (0.005, 0.5, 0.995)  # of the pixels, at or below the low, middle and high count
STEP = 0.02  # most that an end of the range moves a frame, in ranges
LEAST = 64  # counts in a range: an even scene's noise is not stretched to black and white


class AutoGain:
    """Maps the frames of one camera, HW uint16, to HW uint8; 8-bit ones stay as they are.

    The range that becomes 0..255 goes from the 0.5% to the 99.5% percentile, each the median over
    the last frames, so that one strange frame (a shutter, a flash) does nothing. Each end moves by
    at most ``STEP`` of the range a frame: a count that stays the same changes by at most
    255 STEP / (1 - 2 STEP) levels from one frame to the next, and 1 for rounding; less than 7.
    Where more than half of a frame would be black, or white, another scene has begun, and the range
    starts anew with it; so it does with another size.
    """

    def __init__(self, window: int = WINDOW) -> None:
        """Prepare for a camera's first frame; ``window`` is in frames."""
        self._recent: deque[tuple[int, int]] = deque(maxlen=window)
        self._shape: tuple[int, ...] = ()
        self._limits = np.zeros(2)  # low, high, counts

    def __call__(self, image: Image) -> Image:
        """The next frame of the camera at 8 bit.

        Raises:
            DataError: The frame holds floats.
        """
        if image.dtype != np.uint16:
            # other units than counts have no least range
            return to_eight_bit(image, None, "a frame of the infrared camera")
        low, middle, high = percentiles(image)
        same_scene = self._limits[0] <= middle <= self._limits[1]
        if image.shape != self._shape or not same_scene:
            self._shape = image.shape
            self._recent.clear()
        fresh = not self._recent
        self._recent.append((low, high))
        wanted = _widened(np.median(self._recent, axis=0))
        most = STEP * (self._limits[1] - self._limits[0])
        step = wanted - self._limits
        self._limits = wanted if fresh else self._limits + np.clip(step, -most, most)
        return stretch(image, *self._limits)


def to_display(limits: tuple[float, float] | None) -> Callable[[Image], Image]:
    """What one camera's frames go through in order: the fixed range, or automatic gain for None."""
    return AutoGain() if limits is None else FixedRange(limits)


class FixedRange:
    """Maps the frames of one camera, HW uint16 or float32, to HW uint8; 8-bit ones stay."""

    def __init__(self, limits: tuple[float, float]) -> None:
        """Prepare; ``limits`` become black and white, in the camera's unit."""
        self._limits, self._warned = limits, False

    def __call__(self, image: Image) -> Image:
        """The next frame of the camera at 8 bit."""
        if not self._warned and (reason := outside(image, self._limits)):
            self._warned = True
            log.warning("a frame of the infrared camera: %s", reason)
        return to_eight_bit(image, self._limits, "a recording")


def percentiles(image: NDArray[np.uint16]) -> tuple[int, int, int]:
    """The smallest counts with the ``SHARES`` of all pixels at or below them, of HW uint16."""
    below = np.bincount(image.ravel(), minlength=1 << 16).cumsum()
    low, middle, high = np.searchsorted(below, np.multiply(SHARES, image.size))
    return int(low), int(middle), int(high)


def stretch(image: NDArray[np.uint16], low: float, high: float) -> NDArray[np.uint8]:
    """Map low..high to 0..255, what lies outside to 0 or 255; HW uint16 to HW uint8."""
    # in place: a new image for each step would take twice as long
    levels = image.astype(np.float32)
    levels -= np.float32(low)
    levels *= np.float32(255 / (high - low))
    return np.clip(np.rint(levels, out=levels), 0, 255, out=levels).astype(np.uint8)


def _widened(limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """At least ``LEAST`` counts, about the same middle."""
    low, high = limits
    missing = max(0.0, LEAST - (high - low))
    return np.array([low - missing / 2, high + missing / 2])
