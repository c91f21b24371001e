"""Textures near the camera at several resolutions, and their warping to the canvas."""

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.drawing import SUPERSAMPLING
from scenes.street import Street
from scenes.surfaces import Exposure, SurfacePainter, Texture

AHEAD = 4  # stretches in view, from the camera's on


class Textures:
    """The cached textures of a street.

    ``part`` is 0 for the ground, -1 and 1 for the sides. ``factors`` are the integers by which rows
    and columns are shrunk.
    """

    def __init__(self, street: Street, *, wet: bool, exposure: Exposure) -> None:
        self._street = street
        self._painter = SurfacePainter(street, wet=wet, exposure=exposure)
        self._painted = lru_cache(maxsize=24)(self._paint)
        self.shrunk = lru_cache(maxsize=160)(self._shrink)
        self.joined = lru_cache(maxsize=40)(self._join)

    def _paint(self, number: int, part: int) -> Texture:
        stretch = self._street.stretch(number)
        return self._painter.facade(stretch, part) if part else self._painter.ground(stretch)

    def _shrink(self, number: int, part: int, factors: tuple[int, int]) -> Texture:
        """The shrunk texture of one stretch."""
        texture = self._painted(number, part)
        if factors == (1, 1):
            return texture
        rows, columns = texture.paint.shape[:2]
        size = (columns // factors[1], rows // factors[0])
        paint, light = (
            np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA), np.uint8)
            for p in (texture.paint, texture.light)
        )
        return Texture(paint, light)

    def _join(self, first: int, part: int, factors: tuple[int, int]) -> Texture:
        """The joined textures of ``AHEAD`` stretches from ``first`` on."""
        parts = [self.shrunk(number, part, factors) for number in range(first, first + AHEAD)]
        axis = 1 if part else 0
        return Texture(
            np.concatenate([p.paint for p in parts], axis=axis),
            np.concatenate([p.light for p in parts], axis=axis),
        )


def warp(
    texture: Texture,
    matrix: NDArray[np.float64],
    planes: NDArray[np.uint8],
    light: NDArray[np.uint8],
    box: Sequence[int],
) -> None:
    """Fill a box of the canvas by a homography from texels to canvas pixels.

    Args:
        texture: The source.
        matrix: 3x3.
        planes: uint8 [h, w, 4], the canvas.
        light: uint8 [H, W, 4], at the image's size.
        box: Left, top, right and bottom in canvas pixels.
    """
    for source, target, scale in (
        (texture.paint, planes, 1),
        (texture.light, light, SUPERSAMPLING),
    ):
        height, width = target.shape[:2]
        x0, y0 = (part // scale for part in box[:2])
        x1, y1 = (-(-part // scale) for part in box[2:])
        x0, x1, y0, y1 = max(x0, 0), min(x1, width), max(y0, 0), min(y1, height)
        if x1 <= x0 or y1 <= y0:
            continue
        # the matrix is for pixel edges, OpenCV's is for pixel centres
        to_box = np.array([[1 / scale, 0, -x0 - 0.5], [0, 1 / scale, -y0 - 0.5], [0, 0, 1]])
        target[y0:y1, x0:x1] = cv2.warpPerspective(
            source, to_box @ matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
