"""Textures near the camera at several resolutions, and their warping to the canvas."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.drawing import SUPERSAMPLING
from scenes.street import STRETCH_M, Street
from scenes.surfaces import FACADE_SIZE, GROUND_SIZE, Exposure, SurfacePainter, Texture

AHEAD = 4  # stretches in view, from the camera's on


@dataclass(slots=True)
class _Joined:
    """The textures of ``AHEAD`` stretches, of which the first ``filled`` are there."""

    texture: Texture
    filled: int = 0


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
        self._joined = lru_cache(maxsize=40)(self._join)

    def joined(self, first: int, part: int, factors: tuple[int, int], end: float) -> Texture:
        """The joined textures of ``AHEAD`` stretches from ``first`` on, of use up to z = ``end``.

        The near bands of the view need one or two stretches only.
        """
        joined = self._joined(first, part, factors)
        needed = min(end // STRETCH_M + 1 - first, AHEAD)
        while joined.filled < needed:
            filled = joined.filled
            piece = self.shrunk(first + filled, part, factors)
            for whole, new in (
                (joined.texture.paint, piece.paint),
                (joined.texture.light, piece.light),
            ):
                rows, columns = new.shape[:2]
                if part:
                    whole[:, filled * columns : (filled + 1) * columns] = new
                else:
                    whole[filled * rows : (filled + 1) * rows] = new
            joined.filled = filled + 1
        return joined.texture

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

    def _join(self, first: int, part: int, factors: tuple[int, int]) -> _Joined:
        """An empty texture of ``AHEAD`` stretches from ``first`` on."""
        whole = FACADE_SIZE if part else GROUND_SIZE
        rows, columns = (side // by for side, by in zip(whole, factors, strict=True))
        shape = (rows, AHEAD * columns, 4) if part else (AHEAD * rows, columns, 4)
        return _Joined(Texture(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)))


def warp(
    texture: Texture,
    matrix: NDArray[np.float64],
    planes: NDArray[np.uint8],
    light: NDArray[np.uint8],
    box: Sequence[int],
    masks: Sequence[NDArray[np.uint8]] | None = None,
) -> None:
    """Fill a box of the canvas by a homography from texels to canvas pixels.

    Args:
        texture: The source.
        matrix: 3x3.
        planes: uint8 [h, w, 4], the canvas.
        light: uint8 [H, W, 4], at the image's size.
        box: Left, top, right and bottom in canvas pixels.
        masks: uint8 [h, w] and [H, W], other than 0 where to fill; None: everywhere.
    """
    for i, source, target, scale in (
        (0, texture.paint, planes, 1),
        (1, texture.light, light, SUPERSAMPLING),
    ):
        height, width = target.shape[:2]
        x0, y0 = (part // scale for part in box[:2])
        x1, y1 = (-(-part // scale) for part in box[2:])
        x0, x1, y0, y1 = max(x0, 0), min(x1, width), max(y0, 0), min(y1, height)
        if x1 <= x0 or y1 <= y0:
            continue
        # the matrix is for pixel edges, OpenCV's is for pixel centres
        to_box = np.array([[1 / scale, 0, -x0 - 0.5], [0, 1 / scale, -y0 - 0.5], [0, 0, 1]])
        warped = cv2.warpPerspective(
            source, to_box @ matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        part = np.s_[y0:y1, x0:x1]
        if masks is None:
            target[part] = warped
        else:
            cv2.copyTo(warped, masks[i][part], target[part])
