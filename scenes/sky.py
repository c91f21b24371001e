"""The sky: clouds and a skyline at infinite distance."""

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.climate import Moment
from scenes.drawing import Camera, temperature_code

_BELOW = 12  # canvas rows below the horizon that are painted too, where the ground may not reach


class Sky:
    """A sky whose colours follow the sun."""

    def __init__(self, rng: np.random.Generator, canvas: tuple[int, int]) -> None:
        self._weights = _weights(rng, canvas)

    def paint(self, planes: NDArray[np.uint8], camera: Camera, moment: Moment) -> None:
        """Paint the canvas, uint8 [h, w, 4], down to a little below the horizon."""
        bottom = min(int(camera.horizon) + _BELOW, camera.canvas[0])
        shift = max(camera.canvas[0] // 2 - int(camera.horizon), 0)
        sky = moment.sky_k
        codes = temperature_code([sky, 0.45 * sky, 0.6 * sky, 0.0]).astype(float)
        skyline = tuple(0.55 * part for part in moment.horizon)
        colours = np.array([moment.zenith, moment.horizon, moment.cloud, skyline])
        matrix = np.vstack([colours.T, codes]) / 255
        planes[:bottom] = cv2.transform(self._weights[shift : shift + bottom], matrix)


def _weights(rng: np.random.Generator, canvas: tuple[int, int]) -> NDArray[np.uint8]:
    """Shares of zenith, horizon, cloud and skyline, uint8 [1.5 h, w, 4]; the horizon is h / 2."""
    h, w = canvas
    rows = (h / 2 - np.arange(h + h // 2)) / h
    size = (w, len(rows))
    up = np.clip(1.6 * rows, 0, 1)[:, None]
    coarse = rng.standard_normal((30, 8)).astype(np.float32)
    fine = rng.standard_normal((60, 40)).astype(np.float32)
    clouds = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)
    clouds += 0.35 * np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_CUBIC), np.float32)
    cloud = np.clip(0.3 + 0.4 * clouds + rng.uniform(-0.3, 0.4), 0, 1)
    line = np.interp(np.arange(w), np.linspace(0, w, 40), rng.uniform(0.008, 0.03, 40))
    weights = np.zeros((len(rows), w, 4), np.uint8)
    weights[:, :, 3] = 255  # below the top of the skyline there is nothing else
    upper = np.count_nonzero(rows >= line.min())
    up, cloud = up[:upper], cloud[:upper]
    shares = (up * (1 - cloud), (1 - up) * (1 - cloud), cloud.astype(np.float64))
    planes = [np.rint(255 * share).astype(np.uint8) for share in shares]
    sky = (rows[:upper, None] >= line).view(np.uint8)
    cv2.copyTo(cv2.merge([*planes, np.zeros_like(sky)]), sky, weights[:upper])
    return weights
