"""Perturbations of pairs, to measure the robustness of arms.

All arms get the same perturbed pair. The order is that of a camera: geometry, blur, exposure and
gamma, noise. Border pixels are repeated outside the image.

Geometry moves the infrared image only, like a misalignment of the cameras. Labels and the visible
image do not move, so a shift also lowers the score of the IR arm, whose boxes are shifted. To
measure the effect of misalignment on fusion, compare the fused arm with the IR arm of the same run.
"""

import hashlib
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config.sections import PerturbConfig
from pipeline.frames import Item

_Floats = NDArray[np.float32]
_Levels = NDArray[np.uint8]


class Perturb:
    """Perturbs pairs by the settings; unchanged images are not copied.

    Images are uint8, HW or HWC, and keep their shape. The result depends on the pair and the
    settings only.
    """

    def __init__(self, settings: PerturbConfig) -> None:
        self._settings = settings
        self._table = _tone_table(settings.vis_exposure, settings.vis_gamma)

    def __call__(self, item: Item) -> Item:
        """Perturb the pair of an item; labels are unchanged."""
        key, ir, vis = item.pair.whole()
        changed = self._infrared(ir.image, key), self._visible(vis.image)
        if changed[0] is ir.image and changed[1] is vis.image:
            return item
        ir, vis = replace(ir, image=changed[0]), replace(vis, image=changed[1])
        return replace(item, pair=replace(item.pair, ir=ir, vis=vis))

    def _infrared(self, image: _Levels, key: str) -> _Levels:
        """Apply geometry, blur and noise, and round once at the end."""
        settings = self._settings
        moved = settings.shift != (0, 0) or settings.rotation != 0
        if not (moved or settings.ir_blur or settings.ir_noise):
            return image
        values = image.astype(np.float32)
        if moved:
            values = _move(values, settings.shift, settings.rotation)
        if settings.ir_blur:
            values = _blur(values, settings.ir_blur)
        if settings.ir_noise:
            noise = settings.ir_noise * _unit_noise(key, image.shape[:2])  # [H, W]
            # the same noise in all channels, so that grey stays grey
            values += noise if image.ndim == 2 else noise[:, :, None]
        return _to_levels(values)

    def _visible(self, image: _Levels) -> _Levels:
        """Apply blur, then the tone curve."""
        if self._settings.vis_blur:
            image = _to_levels(_blur(image.astype(np.float32), self._settings.vis_blur))
        return image if self._table is None else np.asarray(cv2.LUT(image, self._table))


def _move(image: _Floats, shift: tuple[float, float], rotation: float) -> _Floats:
    """Rotate counter-clockwise about the image's centre, then shift right and down, bilinear.

    A shift by whole pixels without rotation is exact.
    """
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rotation, 1.0)
    matrix[:, 2] += np.asarray(shift)
    return np.asarray(
        cv2.warpAffine(
            image,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _blur(image: _Floats, sigma: float) -> _Floats:
    """Gaussian blur in float32; OpenCV's 8-bit blur has errors of up to two levels."""
    return np.asarray(
        cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32
    )


def _unit_noise(key: str, shape: tuple[int, ...]) -> _Floats:
    """Standard normal noise, seeded by the pair's key.

    It is the same at every strength, so that runs of a sweep differ by the strength only.
    """
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()  # hash() is salted
    generator = np.random.default_rng(int.from_bytes(digest, "big"))
    return generator.standard_normal(shape, np.float32)


def _tone_table(stops: float, gamma: float) -> _Levels | None:
    """Look-up table of the 256 levels, None if nothing changes.

    Exposure decodes levels to linear light by sRGB's transfer function (IEC 61966-2-1), multiplies
    it by 2^stops and clips it at white. Then gamma is applied, (level / 255)^gamma.
    """
    if stops == 0 and gamma == 1:
        return None
    encoded = np.arange(256) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = np.minimum(light * 2**stops, 1)
    exposed = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return _to_levels(255 * exposed**gamma)


def _to_levels(values: NDArray[np.floating]) -> _Levels:
    """Round to the 256 levels, halves to even."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
