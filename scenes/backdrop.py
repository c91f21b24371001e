"""The empty street in the camera's view: the textures of its stretches, warped to the canvas."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scenes.climate import Moment
from scenes.drawing import SUPERSAMPLING, Camera, largest
from scenes.sky import Sky
from scenes.street import STRETCH_M, Block, Street
from scenes.surfaces import ACROSS, ALONG, HALF_M, TOP_M, WALL, Exposure, Map
from scenes.textures import AHEAD, Textures, warp

FAR_M = 118.0  # largest depth of the street; beyond it is the skyline
# Depths where the textures' resolution changes; each band has its own shrunk copies.
_GROUND_BANDS = (0.5, 6.0, 9.0, 13.0, 19.0, 28.0, 42.0, 63.0, FAR_M)
_WALL_BANDS = (2.0, 7.0, 11.0, 17.0, 26.0, 40.0, 62.0, FAR_M)
# What a band may show beyond its far end, because its box is rounded to whole pixels of both sizes
# and because pixels are interpolated.
_EDGE_PX, _EDGE_TEXELS = 3.0, 2.0
_GABLE_M = 14.0  # largest visible width of a house's gable


@dataclass(frozen=True, slots=True, eq=False)
class Walls:
    """The facades of both sides in the camera's view.

    Attributes:
        mask: bool [h, w], the canvas pixels that show a facade.
        depth: float32 [w], distance to the plane of the facades by canvas column, metres; infinite
            where none is near enough.
        parts: The canvas columns of the left and of the right side, from and to an image pixel.
    """

    mask: NDArray[np.bool_]
    depth: Map
    parts: tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An empty street, at canvas size [h, w] and at image size [H, W].

    Attributes:
        planes: uint8 [h, w, 4]: red, green, blue, temperature code.
        light: uint8 [H, W, 4], as ``Texture.light``.
        depth: float32 [H, W], metres; infinite in the sky.
    """

    planes: NDArray[np.uint8]
    light: NDArray[np.uint8]
    depth: Map


class Backdrop:
    """Draws the street without actors; caches the textures near the camera."""

    def __init__(
        self,
        street: Street,
        seed: tuple[int, int],
        canvas: tuple[int, int],
        *,
        wet: bool,
        exposure: Exposure,
    ) -> None:
        self._street = street
        self._textures = Textures(street, wet=wet, exposure=exposure)
        self._sky = Sky(np.random.default_rng([*seed, 8]), canvas)

    def walls(self, camera: Camera) -> Walls:
        """Find the facades in the view of a camera; nothing is painted."""
        h, w = camera.canvas
        mask, depth = np.zeros((h, w), bool), np.full(w, np.inf, np.float32)
        rows = np.arange(h, dtype=np.int16)[:, None]
        parts = []
        for side in (-1, 1):
            f, x = camera.focal, side * self._street.wall - camera.x
            across = (np.arange(w) + 0.5 - camera.centre_x) * side
            metres = f * abs(x) / np.maximum(across, 1e-3)
            visible = (across > 0) & (metres < FAR_M)
            houses = [block for _, block in self._blocks(camera, side)]
            heights = _along(houses, camera.z + metres)
            # the first row whose middle is below the roof, and the first whose is below the base
            edges = camera.horizon + f * (camera.height - np.stack([heights, 0 * heights])) / metres
            top, end = np.clip(np.ceil(edges - 0.5), 0, h).astype(np.int16)
            end[~visible] = 0
            columns = np.flatnonzero(visible)
            step = SUPERSAMPLING
            part = slice(columns[0] // step * step, -(-(columns[-1] + 1) // step) * step)
            mask[:, part] = (rows >= top[part]) & (rows < end[part])
            depth[visible] = metres[visible]
            parts.append(part)
        return Walls(mask, depth, (parts[0], parts[1]))

    def view(self, camera: Camera, moment: Moment, walls: Walls) -> View:
        """Draw the street from a camera."""
        h, w = camera.canvas
        small = (h // SUPERSAMPLING, w // SUPERSAMPLING)
        view = View(
            planes=np.zeros((h, w, 4), np.uint8),
            light=np.zeros((*small, 4), np.uint8),
            depth=np.full(small, np.inf, np.float32),
        )
        self._sky.paint(view.planes, camera, moment)
        self._draw_ground(view, camera)
        # gables first, because the facades hide parts of them
        for side in (-1, 1):
            self._draw_gables(view, camera, side)
        mask = walls.mask.view(np.uint8)
        cover = largest(mask)
        for side in (-1, 1):
            self._draw_side(view, camera, side, (mask, cover))
        away = np.minimum(walls.depth, np.float32(FAR_M))[::SUPERSAMPLING]
        np.copyto(view.depth, away, where=cover > 0)
        return view

    def _first(self, camera: Camera) -> int:
        return int((camera.z + 1.0) // STRETCH_M)

    def _blocks(self, camera: Camera, side: int) -> list[tuple[int, Block]]:
        """The houses of a side, nearest first, each with its stretch."""
        first = self._first(camera)
        return [
            (number, block)
            for number in range(first, first + AHEAD)
            for block in self._street.stretch(number).sides[(side + 1) // 2]
        ]

    def _draw_ground(self, view: View, camera: Camera) -> None:
        f, first = camera.focal, self._first(camera)
        rows = (np.arange(view.depth.shape[0]) + 0.5) * SUPERSAMPLING
        below = rows - camera.horizon
        metres = f * camera.height / np.maximum(below, 1e-3)
        view.depth[below > 0] = np.minimum(metres, 2000)[below > 0, None]
        to_canvas = np.array([[f, camera.centre_x, 0], [0, camera.horizon, f * camera.height],
                              [0, 1, 0]])  # fmt: skip
        for near, far in pairwise(_GROUND_BANDS):
            # the last band extends to the horizon
            low = camera.horizon + (f * camera.height / far if far < FAR_M else 0)
            high = camera.horizon + f * camera.height / near
            middle = math.sqrt(near * far)
            factors = (
                _power(ALONG / (f * camera.height / middle**2)), _power(ACROSS / (f / middle)),
            )  # fmt: skip
            dx, dz = ACROSS / factors[1], ALONG / factors[0]
            box = (0, round(low), camera.canvas[1], round(high))
            end = camera.z + f * camera.height / max(box[1] - _EDGE_PX - camera.horizon, 1e-3)
            texture = self._textures.joined(first, 0, factors, end + _EDGE_TEXELS / dz)
            to_world = np.array([
                [1 / dx, 0, -HALF_M + 0.5 / dx - camera.x],
                [0, 1 / dz, first * STRETCH_M + 0.5 / dz - camera.z],
                [0, 0, 1],
            ])  # fmt: skip
            warp(texture, to_canvas @ to_world, view.planes, view.light, box)

    def _draw_side(
        self, view: View, camera: Camera, side: int, masks: tuple[NDArray[np.uint8], ...]
    ) -> None:
        """Draw the facades of a side where the masks, at canvas and image size, show them."""
        f, first = camera.focal, self._first(camera)
        x = side * self._street.wall - camera.x
        to_canvas = np.array([[camera.centre_x, 0, f * x], [camera.horizon, -f, f * camera.height],
                              [1, 0, 0]])  # fmt: skip
        for near, far in pairwise(_WALL_BANDS):
            ends = sorted(camera.centre_x + f * x / d for d in (near, far))
            middle = math.sqrt(near * far)
            factors = (_power(WALL / (f / middle)), _power(WALL / (f * abs(x) / middle**2)))
            dy, dz = WALL / factors[0], WALL / factors[1]
            end = camera.z + f * abs(x) / max(f * abs(x) / far - _EDGE_PX, 1e-3)
            texture = self._textures.joined(first, side, factors, end + _EDGE_TEXELS / dz)
            to_world = np.array([
                [1 / dz, 0, first * STRETCH_M + 0.5 / dz - camera.z],
                [0, -1 / dy, TOP_M - 0.5 / dy],
                [0, 0, 1],
            ])  # fmt: skip
            top = camera.horizon + f * (camera.height - TOP_M) / near
            bottom = camera.horizon + f * camera.height / near
            box = (round(ends[0]), round(top), round(ends[1]), round(bottom) + 1)
            warp(texture, to_canvas @ to_world, view.planes, view.light, box, masks)

    def _draw_gables(self, view: View, camera: Camera, side: int) -> None:
        """Draw the gables of houses taller than the next nearer one, or beyond a side street."""
        blocks = self._blocks(camera, side)
        for (_, before), (number, block) in reversed(list(pairwise(blocks))):
            away = block.start - camera.z
            if block.height <= before.height or not 1.0 < away < FAR_M:
                continue
            scale = camera.focal / away
            edge = camera.centre_x + scale * (side * self._street.wall - camera.x)
            wide = scale * min(_GABLE_M, block.end - block.start)
            box = np.array([
                edge if side > 0 else edge - wide,
                camera.horizon + scale * (camera.height - block.height),
                edge + wide if side > 0 else edge,
                camera.horizon + scale * camera.height,
            ])  # fmt: skip
            self._draw_gable(view, (number, block), side, box, away)

    def _draw_gable(
        self,
        view: View,
        house: tuple[int, Block],
        side: int,
        box: NDArray[np.float64],
        away: float,
    ) -> None:
        """Draw a gable, with the texture of the house's front."""
        number, block = house
        scale = (box[3] - box[1]) / block.height
        factor = _power(WALL / scale)
        texture = self._textures.shrunk(number, side, (factor, factor))
        density = WALL / factor
        left, top = (block.start - number * STRETCH_M) * density, (TOP_M - block.height) * density
        by = scale / density
        shift = (box[0] - left * by) if side > 0 else (box[2] + left * by)
        matrix = np.array([[by * side, 0, shift], [0, by, box[1] - top * by], [0, 0, 1]])
        whole = tuple(np.rint(box).astype(int).tolist())
        warp(texture, matrix, view.planes, view.light, whole)
        # partly covered pixels take the light of the gable, not of the sky
        step = SUPERSAMPLING
        x0, y0 = (max(edge // step, 0) for edge in whole[:2])
        x1, y1 = (max(-(-edge // step), 0) for edge in whole[2:])
        view.depth[y0:y1, x0:x1] = away
        view.light[y0:y1, x0:x1, 1] //= 2


def _power(ratio: float) -> int:
    """The power of two, 1 to 16, by which a texture is shrunk."""
    return 1 << min(max(math.floor(math.log2(max(ratio, 1e-6)) + 0.3), 0), 4)


def _along(blocks: list[Block], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height of the building at each z."""
    starts = np.array([block.start for block in blocks])
    heights = np.array([block.height for block in blocks])
    return heights[np.clip(np.searchsorted(starts, z, side="right") - 1, 0, len(blocks) - 1)]
