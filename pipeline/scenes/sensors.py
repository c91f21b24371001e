"""The two cameras' sensors: from colour, light and temperature to 8-bit images."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.scenes.backdrop import Map
from pipeline.scenes.climate import Climate
from pipeline.scenes.drawing import temperature


def _shrink(canvas: NDArray[Any], size: tuple[int, int]) -> Map:
    out = cv2.resize(canvas, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(out, np.float32)


def _quantize(image: Map) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return levels


class VisibleSensor:
    """A colour camera: exposure, glare round lamps, and noise that grows in the dark."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], climate: Climate) -> None:
        self._size = size
        self._night = climate.night
        cast = (1.0, 0.98, 0.84) if climate.night else (1.0, 1.0, 0.99)
        gain = rng.uniform(0.75, 1.15) if climate.night else rng.uniform(0.85, 1.08)
        self._gain = (np.array(cast) * gain * rng.uniform(0.96, 1.04, 3)).astype(np.float32)
        self._noise = float(rng.uniform(4, 8) if climate.night else rng.uniform(1.5, 3))

    def expose(
        self,
        planes: NDArray[np.uint8],
        light: Map,
        shine: NDArray[np.uint8],
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """Take a picture.

        Args:
            planes: uint8 [h, w, 4], the canvas: red, green, blue and temperature code.
            light: float32 [h, w], how much of its colour each pixel shows.
            shine: uint8 [h, w, 3], own light of lamps and windows.
            rng: Noise.

        Returns:
            uint8 [H, W, 3].
        """
        # One plane at a time: OpenCV is many times as fast on those.
        colours = cv2.split(planes)[:3]
        lit = [cv2.multiply(plane, light, dtype=cv2.CV_32F) for plane in colours]
        image: Map = np.dstack([_shrink(plane, self._size) for plane in lit]) * self._gain
        if self._night:
            image += self._lamps(shine)
        noise = rng.standard_normal((*self._size, 1), np.float32)
        noise = 0.75 * noise + 0.5 * rng.standard_normal(image.shape, np.float32)
        image += self._noise * noise
        return _quantize(image)

    def _lamps(self, shine: NDArray[np.uint8]) -> Map:
        """The lamps themselves, and the light that the lens scatters round them."""
        height, width = self._size
        source = _shrink(shine.astype(np.float32), self._size)
        half = cv2.resize(source, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        near = cv2.GaussianBlur(half, (0, 0), width / 110)
        wide = cv2.GaussianBlur(half, (0, 0), width / 26)
        halo = cv2.resize(2.2 * near + 3.5 * wide, (width, height))
        return np.asarray(1.1 * source + halo, np.float32)


class InfraredSensor:
    """A long-wave camera, white hot: a window of temperatures, blur and fixed-pattern noise."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], climate: Climate) -> None:
        self._size = size
        low = climate.air_c - float(rng.uniform(7, 13))
        # In the heat the window can't reach from the air up to skin: they are as warm.
        above = float(rng.uniform(26, 34) if climate.hot else rng.uniform(9, 16))
        span = above if climate.hot else 36.0 - climate.air_c + above
        level = (temperature(np.arange(256, dtype=np.uint8)) - low) / span
        self._levels = (255 * np.clip(level, 0.02, 1.1)).astype(np.float32)
        height, width = size
        columns = rng.normal(0, 1.1, (1, width)) + rng.normal(0, 0.4, (height, 1))
        rows, cols = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        falloff = -9.0 * (rows**2 + cols**2)
        self._pattern = (columns + rng.normal(0, 1.2, size) + falloff + 4).astype(np.float32)
        self._noise = float(rng.uniform(1.5, 3.0))
        self._blur = float(rng.uniform(0.45, 0.75)) * max(width / 320, 0.5)

    def expose(self, planes: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Take a picture of the canvas, uint8 [h, w, 4], by its temperature codes: uint8 [H, W]."""
        image = _shrink(self._levels[planes[:, :, 3]], self._size)
        image = cv2.GaussianBlur(image, (0, 0), self._blur) + self._pattern
        image += self._noise * rng.standard_normal(self._size, np.float32)
        return _quantize(image)
