"""The sensors of both cameras: images from light and temperature."""

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.climate import Climate, Moment
from scenes.drawing import three
from scenes.surfaces import Map

_SPARE = 64  # extra rows and columns of noise, of which each frame uses a different part


class _Noise:
    """Noise drawn once per clip, of which each frame uses a different part."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, ...]) -> None:
        self._size = size
        grown = (size[0] + _SPARE, size[1] + _SPARE, *size[2:])
        self._bank = rng.standard_normal(grown, np.float32)

    def part(self, rng: np.random.Generator) -> Map:
        top, left = rng.integers(0, _SPARE, 2).tolist()
        return self._bank[top : top + self._size[0], left : left + self._size[1]]


class VisibleSensor:
    """A colour camera: exposure, lens flare, motion blur, rain, noise in the dark, JPEG."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], climate: Climate) -> None:
        self._size = size
        balance = rng.uniform(0.97, 1.03, 3).astype(np.float32)
        # a factor for each value, because NumPy is slow with a short last axis
        self._balance = np.tile(balance * float(rng.uniform(0.88, 1.08)), (*size, 1))
        self._grain = float(rng.uniform(1.2, 2.4))
        self._quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 96))]
        self._flare = {"clear": 1.0, "fog": 2.0, "rain": 1.4}[climate.conditions.weather]
        self._noise, self._hue = _Noise(rng, size), _Noise(rng, (*size, 3))
        self._rain = _Rain(rng, size) if climate.wet else None

    def expose(
        self, picture: Map, shine: Map | None, flow: Map, moment: Moment, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Make the visible image.

        Args:
            picture: float32 [H, W, 3], light at the lens, 0 to 255 at the camera's gain.
            shine: float32 [H, W, 3], light emitted by lamps and windows, None if all are off.
            flow: float32 [H, W, 2], optical flow in pixels per second.
            moment: The light.
            rng: Random generator of the noise.

        Returns:
            uint8 [H, W, 3], RGB.
        """
        image = picture * self._balance
        shutter = np.interp(moment.gain, (1.0, 1.3, 1.75), (1 / 400, 1 / 120, 1 / 45))
        image = _blur_by(image, flow, float(shutter))
        if shine is not None:
            image += self._lamps(shine)
        if self._rain is not None:
            bright = min(1.0, (moment.ambient[1] + 0.12 * moment.lit) * moment.gain)
            image += three(self._rain.fall(rng) * np.float32(bright))
        strength = self._grain * moment.gain**2
        image += three((0.75 * strength) * self._noise.part(rng))
        image += (0.5 * strength) * self._hue.part(rng)
        levels = np.clip(np.rint(image), 0, 255).astype(np.uint8)
        coded = cv2.imencode(".jpg", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), self._quality)[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(np.asarray(decoded), cv2.COLOR_BGR2RGB), np.uint8)

    def _lamps(self, source: Map) -> Map:
        """Emitted light, and the glow that lens and air scatter around it."""
        height, width = self._size
        half = cv2.resize(source, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        eighth = cv2.resize(half, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
        near = cv2.GaussianBlur(half, (0, 0), width / 110)
        wide = cv2.resize(cv2.GaussianBlur(eighth, (0, 0), width / 104), (width, height))
        halo = self._flare * (2.2 * cv2.resize(near, (width, height)) + 3.0 * wide)
        return np.asarray(1.1 * source + halo, np.float32)


class _Rain:
    """Streaks of falling drops."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self._size = size
        height, width = size[0] + _SPARE, size[1] + _SPARE
        bank = np.zeros((height, width), np.float32)
        slant = float(rng.uniform(-0.15, 0.15))
        unit = max(size[0] / 256, 0.5)
        for _ in range(150):
            x, y = rng.uniform(0, width), rng.uniform(-20, height)
            length = float(rng.uniform(6, 22)) * unit
            ends = np.rint([x * 16, y * 16, (x + slant * length) * 16, (y + length) * 16]).astype(
                int
            )
            cv2.line(bank, ends[:2].tolist(), ends[2:].tolist(), float(rng.uniform(10, 34)), 1,
                     cv2.LINE_AA, 4)  # fmt: skip
        self._bank = np.asarray(cv2.GaussianBlur(bank, (0, 0), 0.6 * unit), np.float32)

    def fall(self, rng: np.random.Generator) -> Map:
        """The streaks of a frame, float32 [H, W]."""
        (top, left), (other_top, other_left) = rng.integers(0, _SPARE, (2, 2)).tolist()
        height, width = self._size
        one = self._bank[top : top + height, left : left + width]
        other = self._bank[::-1][other_top : other_top + height, other_left : other_left + width]
        return np.asarray(one + other, np.float32)


def _blur_by(image: Map, flow: Map, shutter: float) -> Map:
    """Motion blur: the mean of the image at three times while the shutter is open."""
    if float(np.abs(flow).max(initial=0)) * shutter < 0.7:
        return image
    height, width = image.shape[:2]
    columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    total = image.copy()
    for part in (-0.36, 0.36):
        x = columns + np.float32(part * shutter) * flow[:, :, 0]
        y = rows + np.float32(part * shutter) * flow[:, :, 1]
        total += cv2.remap(image, x, y, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    return total / np.float32(3)


class InfraredSensor:
    """A long-wave camera, white hot: lens, fixed-pattern noise, and a window to 8 bits."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], climate: Climate) -> None:
        self._below = float(rng.uniform(7, 13))
        # in warm air the window is not based on skin, which is hardly warmer
        self._hot = climate.air_c > 20
        self._above = float(rng.uniform(26, 34) if self._hot else rng.uniform(1, 8))
        height, width = size
        columns = rng.normal(0, 0.14, (1, width)) + rng.normal(0, 0.05, (height, 1))
        rows, cols = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        falloff = 0.5 - 1.1 * (rows**2 + cols**2)
        self._pattern = (columns + rng.normal(0, 0.15, size) + falloff).astype(np.float32)
        self._grain = float(rng.uniform(0.18, 0.4))
        self._blur = float(rng.uniform(0.45, 0.75)) * max(width / 320, 0.5)
        self._noise = _Noise(rng, size)

    def measure(self, kelvin: Map, moment: Moment, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Make the infrared image.

        Args:
            kelvin: float32 [H, W], apparent temperature over the air's.
            moment: The air's temperature.
            rng: Random generator of the noise.

        Returns:
            uint16 [H, W], absolute temperature in hundredths of a kelvin.
        """
        image = np.asarray(cv2.GaussianBlur(kelvin, (0, 0), self._blur), np.float32)
        image = image + self._pattern + self._grain * self._noise.part(rng)
        counts = 100 * (image + np.float32(moment.air_c + 273.15))
        return np.asarray(np.clip(np.rint(counts), 0, 65535), np.uint16)

    def display(self, counts: NDArray[np.uint16], moment: Moment) -> NDArray[np.uint8]:
        """Convert to 8 bits by a window that follows the air's temperature."""
        span = self._above if self._hot else 36.0 - moment.air_c + self._above
        # widened when road and metal are hot in the sun, so that they do not saturate
        span += max(moment.heavy_k - 12.0, 0.0)
        low = 100 * (moment.air_c + 273.15 - self._below)
        levels = (counts.astype(np.float32) - np.float32(low)) * np.float32(2.55 / span)
        return np.asarray(np.clip(np.rint(levels), 3, 255), np.uint8)
