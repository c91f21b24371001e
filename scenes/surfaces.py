"""Textures of the ground and the facades of a stretch."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.drawing import temperature_code
from scenes.street import STRETCH_M, Block, Street, Stretch

Map = NDArray[np.float32]

ACROSS, ALONG = 24.0, 16.0  # texels per metre of the ground: across and along the road
WALL = 20.0  # texels per metre of the facades
HALF_M = 16.0  # half the width of the ground's texture
TOP_M = 17.5  # height of the facades' texture
GROUND_SIZE = (round(STRETCH_M * ALONG), round(2 * HALF_M * ACROSS))  # rows, columns of a stretch
FACADE_SIZE = (round(TOP_M * WALL), round(STRETCH_M * WALL))
LAMP_FULL = 100.0  # code of full light under a street lamp
_HEDGE = np.array([62, 92, 48], np.float32)
_FRAME = np.array([188, 184, 176], np.float32)
_GLASS = np.array([0.85, 1.0, 1.15], np.float32)
_TILE = 256  # side of the noise tiles, samples
_STRIP = 128  # rows of the ground that are painted at a time
_Part = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """A painted surface.

    Attributes:
        paint: uint8 [rows, columns, 4]: red, green, blue, temperature code over the air's.
        light: uint8 [rows, columns, 4]: share of the sun's warmth and of its light (255: all),
            light of the street lamps (``LAMP_FULL``: full), light emitted by windows.
    """

    paint: NDArray[np.uint8]
    light: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Warming of surfaces by the sun, relative to a road in full sun.

    Attributes:
        shade: Warming of a road in the shade of the houses.
        pavement: Ratio of a pavement's warming to that of the adjacent road.
        wall: Warming of a wall in the sun.
        wall_shade: Warming of a wall in the shade.
    """

    shade: float = 0.4
    pavement: float = 1.0
    wall: float = 1.0
    wall_shade: float = 0.5


# On a hot day pale stone and upright walls warm less than asphalt.
SUMMER = Exposure(shade=0.3, pavement=0.6, wall=0.5, wall_shade=0.2)


class SurfacePainter:
    """Paints the stretches of a street."""

    def __init__(self, street: Street, *, wet: bool, exposure: Exposure) -> None:
        self._street, self._wet, self._exposure = street, wet, exposure
        rng = np.random.default_rng([*street.seed, 7])
        self._rough, self._cloudy = _noise(rng, 0.0), _noise(rng, 9.0)

    def ground(self, stretch: Stretch) -> Texture:
        """Paint road, pavements and side street: rows along z, nearest first; columns along x."""
        start = stretch.number * STRETCH_M
        x = _centres(-HALF_M, HALF_M, ACROSS)[None, :]
        z = _centres(start, start + STRETCH_M, ALONG)[:, None]
        in_mouth = np.zeros(len(z), np.intp)
        if stretch.junction is not None:
            in_mouth[:] = ((z > stretch.junction[0]) & (z < stretch.junction[1]))[:, 0]
        # rows are of two kinds, with pavements and without
        on_road = np.concatenate([np.abs(x) < self._street.road, np.ones(x.shape, bool)])
        # in strips, whose planes stay in the processor's cache
        strips = [slice(row, row + _STRIP) for row in range(0, len(z), _STRIP)]
        paint = [self._strip(stretch, x, z[rows], on_road[in_mouth[rows]]) for rows in strips]
        # a single row would be blurred along x only, and rounded differently
        lit = np.repeat(x * self._street.sun > shadow_edge(self._street), 2, axis=0)
        sun = _soften(lit, 0.3 * ACROSS)
        shade = self._exposure.shade
        warming = (shade + (1 - shade) * sun) * np.where(on_road, 1.0, self._exposure.pavement)
        warmth, sunlight = _rounded(255 * warming), _rounded((255 * sun).astype(np.float64))
        lamps = LAMP_FULL * self._lamp_light(x, np.zeros_like(x), z)
        light = [
            _merged(
                warmth[in_mouth[rows]],
                sunlight[in_mouth[rows]],
                _rounded(lamps[rows].astype(np.float64)),
                np.zeros(lamps[rows].shape, np.uint8),
            )
            for rows in strips
        ]
        return Texture(np.concatenate(paint), np.concatenate(light))

    def _strip(
        self, stretch: Stretch, x: Map, z: Map, on_road: NDArray[np.bool_]
    ) -> NDArray[np.uint8]:
        """Paint rows of the ground."""
        street = self._street
        grain, patches = self._sample(self._rough, z, x, 9.0), self._sample(self._cloudy, z, x, 2.0)
        marks = np.nonzero(_markings(street, stretch, on_road, x, z))
        tone = np.where(on_road, np.float32(5), np.float32(7)) * grain
        tone += np.where(on_road, np.float32(street.asphalt), np.float32(138))
        tone += 5 * patches
        joints = (z % 1.2 < 0.06) | (x % 1.2 < 0.05)
        tone -= np.float32(16) * (joints & ~on_road)
        tone[(np.abs(np.abs(x) - street.road) < 0.12) & on_road] = 176
        red = tone.astype(np.float64)
        if self._wet:
            red *= 0.62
        red[marks] = (150 if self._wet else 205) + 10 * patches[marks] + 8 * grain[marks]
        green, blue = 1.005 * red, 1.025 * red
        green[marks] = blue[marks] = red[marks]
        kelvin: Map = 1.0 + 0.7 * patches + 0.35 * grain
        kelvin -= ~on_road
        kelvin[marks] = kelvin[marks] - np.float64(0.8)
        return _merged(*map(_levels, (red, green, blue)), temperature_code(kelvin))

    def facade(self, stretch: Stretch, side: int) -> Texture:
        """Paint the houses of a side: rows from ``TOP_M`` down to the ground, columns along z.

        All are painted up to ``TOP_M``; the backdrop masks them at their height.
        """
        start = stretch.number * STRETCH_M
        z = _centres(start, start + STRETCH_M, WALL)[None, :]
        y = _centres(0.0, TOP_M, WALL)[::-1, None]
        shape = (y.size, z.size)
        red, green, blue = (np.zeros(shape, np.uint8) for _ in range(3))
        kelvin, glow = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        solid = np.ones(shape, np.float32)
        planes: tuple[NDArray[Any], ...] = (red, green, blue, kelvin, glow, solid)
        for block in stretch.sides[(side + 1) // 2]:
            columns = slice(*np.searchsorted(z[0], (block.start, block.end)).tolist())
            if block.height and columns.start < columns.stop:
                part = self._house(block, z[:, columns], y)
                for whole, piece in zip(planes, part, strict=True):
                    whole[:, columns] = piece
        sun, shade = np.float32(side != self._street.sun), self._exposure.wall_shade
        warming = (shade + (self._exposure.wall - shade) * sun) * solid
        lamps = self._lamp_light(np.full_like(z, side * self._street.wall), y, z)
        light = (255 * warming, np.full(shape, 255 * sun), LAMP_FULL * lamps, 255 * glow)
        return Texture(
            _merged(red, green, blue, temperature_code(kelvin)), _merged(*map(_rounded, light))
        )

    def _house(self, block: Block, z: Map, y: Map) -> tuple[Any, ...]:
        """Red, green, blue, temperature in kelvin, glow of windows, and share of warming."""
        stain, grain = self._sample(self._cloudy, y, z, 3.0), self._sample(self._rough, y, z, 7.0)
        if block.height < 3.1:  # a hedge along a garden
            leaves = 1 + 0.3 * grain + 0.22 * stain
            colours = [_levels(leaves * part) for part in _HEDGE]
            return *colours, 0.6 * grain + 0.5 * stain, 0.0, 0.25
        tone = 1 + 0.05 * stain + 0.035 * grain - 0.16 * (y % block.storey < 0.14)
        tone[((y > block.height - 0.35) | (y < 0.5))[:, 0]] *= 0.78
        colours = [
            _levels((tone * np.float64(part)).astype(np.float32))
            for part in np.asarray(block.paint, np.float32)
        ]
        kelvin = block.warmer + 0.8 * stain + 0.4 * grain
        glow, solid = np.zeros_like(kelvin), np.ones_like(kelvin)
        frames, panes = _windows(z, y, block)
        for part in frames:
            for plane, level in zip(colours, _FRAME, strict=True):
                plane[part] = level
            kelvin[part] += 0.5
        for part, random, height in panes:
            glass = _levels((40 + 55 * random + 40 * height) * _GLASS)  # [rows, 3]
            for plane, levels in zip(colours, glass.T, strict=True):
                plane[part] = levels[:, None]
            # panes reflect the cold sky; some rooms are heated
            kelvin[part] = 3.0 * random - 2.0 * height - 4.0
            if random > 0.8:
                glow[part] = 0.25 + 0.4 * (random * 57 % 1)
            solid[part] = 0.15
        return *colours, kelvin, glow, solid

    def _sample(self, tile: Map, rows: Map, columns: Map, scale: float) -> Map:
        """Noise at surface coordinates in metres, with ``scale`` samples per metre."""
        u, v = np.broadcast_arrays(columns * scale % _TILE, rows * scale % _TILE)
        u, v = np.ascontiguousarray(u, np.float32), np.ascontiguousarray(v, np.float32)
        return np.asarray(
            cv2.remap(tile, u, v, cv2.INTER_LINEAR, None, cv2.BORDER_WRAP), np.float32
        )

    def _lamp_light(self, x: Map, y: Map, z: Map) -> Map:
        """Light of the street lamps, computed at every fourth texel because it is smooth."""
        rows, columns = np.broadcast_shapes(x.shape, y.shape, z.shape)
        x, y, z = (part[:: 4 if len(part) > 1 else 1, :: 4 if part.shape[1] > 1 else 1]
                   for part in (x, y, z))  # fmt: skip
        light = lamp_light(self._street, x, y, z)
        return np.asarray(cv2.resize(light, (columns, rows)), np.float32)


def lamp_light(street: Street, x: Map, y: Map, z: Map) -> Map:
    """Light of the street lamps at points of the world, any shapes that broadcast; 0 to about 1."""
    light = np.zeros(np.broadcast_shapes(x.shape, y.shape, z.shape), np.float32)
    for lamp_x, lamp_z in street.lamps(float(z.min()) - 25, float(z.max()) + 25):
        inward = lamp_x - np.sign(lamp_x) * 1.2
        squared = (x - inward) ** 2 + (z - lamp_z) ** 2 + 0.25 * (y - 2.0) ** 2
        light += (1 + squared / 14.0) ** -1.7
    return np.minimum(light, np.float32(1.2))


def shadow_edge(street: Street) -> float:
    """Edge of the houses' shadow on the ground, as x times the street's ``sun``."""
    return -0.35 * street.road


def sunlit(street: Street, x: Map) -> Map:
    """Share of the sun's light on an actor at x, 0.15 to 0.9."""
    share: Map = 0.15 + 0.75 / (1 + np.exp(-(x * street.sun - shadow_edge(street)) / 0.4))
    return share


def _noise(rng: np.random.Generator, blur: float) -> Map:
    """A periodic tile of noise with mean 0 and standard deviation 1."""
    tile: Map = rng.standard_normal((_TILE, _TILE), np.float32)
    if blur:
        wide = np.asarray(cv2.GaussianBlur(np.tile(tile, (2, 2)), (0, 0), blur), np.float32)
        middle = slice(_TILE // 2, -_TILE // 2)
        tile = wide[middle, middle]
    tile = (tile - tile.mean()) / tile.std()
    return tile


def _centres(start: float, end: float, density: float) -> Map:
    count = round((end - start) * density)
    return (start + (np.arange(count) + 0.5) / density).astype(np.float32)


def _soften(mask: NDArray[np.bool_], sigma: float) -> Map:
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma), np.float32)


def _levels(plane: NDArray[Any]) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.clip(plane, 0, 255).astype(np.uint8)
    return levels


def _rounded(plane: NDArray[Any]) -> NDArray[np.uint8]:
    return _levels(plane + 0.5)


def _merged(*planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Planes [rows, columns] to one array [rows, columns, n]; OpenCV is faster than NumPy."""
    return np.asarray(cv2.merge(planes), np.uint8)


def _markings(
    street: Street, stretch: Stretch, on_road: NDArray[np.bool_], x: Map, z: Map
) -> NDArray[np.bool_]:
    """Mask of the white markings: dashes, edge lines, and a crossing before a junction."""
    clear_of_mouth = np.ones_like(z, bool)
    crossing = np.zeros_like(on_road)
    if stretch.junction is not None:
        near, far = stretch.junction
        clear_of_mouth = (z < near - 4) | (z > far + 1)
        crossing = (z > near - 3.6) & (z < near - 0.9) & (x % 1.0 < 0.5)
        crossing = crossing & (np.abs(x) < street.road - 0.2)
    middle = (np.abs(x) < 0.07) & (z % 6.0 < 3.2)
    edges = np.abs(np.abs(x) - street.road + 0.3) < 0.06
    paint: NDArray[np.bool_] = on_road & (((middle | edges) & clear_of_mouth) | crossing)
    return paint


def _windows(
    z: Map, y: Map, block: Block
) -> tuple[list[_Part], list[tuple[_Part, np.float32, Map]]]:
    """Window frames; and panes, each with a random number and the height in it, [rows, 1]."""
    column, storey = np.floor(z / block.bay), np.floor(y / block.storey)
    across, up = np.abs(z / block.bay - column - 0.5)[0], y / block.storey - storey
    high, below = np.abs(up - 0.55)[:, 0], (y < block.height - 0.5)[:, 0]
    frames = product(_runs((high < 0.29) & below), _runs(across < 0.31))
    rows, columns = _runs((high < 0.25) & below), _runs((across < 0.26) & (across > 0.02))
    storeys = storey[[run.start for run in rows]]  # [n, 1]
    bays = column[:, [run.start for run in columns]]  # [1, m]
    random = np.sin(bays * 12.9898 + storeys * 78.233 + block.start) * 437.585453 % 1
    panes = zip(product(rows, columns), random.astype(np.float32).ravel(), strict=True)
    return list(frames), [(part, number, up[part[0]]) for part, number in panes]


def _runs(mask: NDArray[np.bool_]) -> list[slice]:
    """The runs of True."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [slice(start, end) for start, end in edges.reshape(-1, 2).tolist()]
