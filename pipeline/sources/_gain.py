"""Automatic gain: the counts of 16-bit infrared that become black and white.

Each camera has its own gain, applied to its frames in order. It depends only on present and past
frames, so a resumed run, which decodes from the start, gets the same images.
"""

import logging
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipeline.frames import Image
from pipeline.images import outside, to_eight_bit

log = logging.getLogger(__name__)
WINDOW = 50  # frames: 2 s at 25 Hz
SHARES = (0.005, 0.5, 0.995)  # of the pixels, at or below the low, middle and high count
STEP = 0.02  # largest move of an end of the range per frame, relative to the range
LEAST = 64  # counts in a range, so that the noise of a uniform scene is not amplified


class AutoGain:
    """Maps the frames of one camera, HW uint16, to HW uint8; 8-bit frames are unchanged.

    The range that becomes 0..255 goes from the 0.5% to the 99.5% percentile, each the median over
    the last frames, so that single outliers (a shutter, a flash) have no effect. Each end moves by
    at most ``STEP`` of the range per frame: the level of a constant count changes by at most
    255 STEP / (1 - 2 STEP) + 1 < 7 between frames. If more than half of a frame would be black or
    white (a cut to another scene), or the size changes, the range restarts.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[int, int]] = deque(maxlen=WINDOW)
        self._shape: tuple[int, ...] = ()
        self._limits = np.zeros(2)  # low, high, counts

    def __call__(self, image: Image) -> Image:
        """Convert the next frame of the camera to 8 bit.

        Raises:
            DataError: The frame has float values.
        """
        if image.dtype != np.uint16:
            # ``LEAST`` has no meaning in units other than counts
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
    """The conversion of one camera's frames to 8 bit: a fixed range, or automatic gain for None."""
    return AutoGain() if limits is None else FixedRange(limits)


class FixedRange:
    """Maps one camera's frames, HW uint16 or float32, to HW uint8; 8-bit ones are unchanged."""

    def __init__(self, limits: tuple[float, float]) -> None:
        """Begin; ``limits`` become black and white, in the camera's unit."""
        self._limits, self._warned = limits, False

    def __call__(self, image: Image) -> Image:
        """Convert the next frame of the camera to 8 bit."""
        if not self._warned and (reason := outside(image, self._limits)):
            self._warned = True
            log.warning("a frame of the infrared camera: %s", reason)
        return to_eight_bit(image, self._limits, "a recording")


def percentiles(image: NDArray[np.uint16]) -> tuple[int, int, int]:
    """The percentiles ``SHARES`` of HW uint16: the least counts with that share at or below."""
    below = np.bincount(image.ravel(), minlength=1 << 16).cumsum()
    low, middle, high = np.searchsorted(below, np.multiply(SHARES, image.size))
    return int(low), int(middle), int(high)


def stretch(image: NDArray[np.uint16], low: float, high: float) -> NDArray[np.uint8]:
    """Map low..high to 0..255 and clip; HW uint16 to HW uint8."""
    # in place, which takes half the time
    levels = image.astype(np.float32)
    levels -= np.float32(low)
    levels *= np.float32(255 / (high - low))
    return np.clip(np.rint(levels, out=levels), 0, 255, out=levels).astype(np.uint8)


def _widened(limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Widen limits to at least ``LEAST`` counts around the same middle."""
    low, high = limits
    missing = max(0.0, LEAST - (high - low))
    return np.array([low - missing / 2, high + missing / 2])
