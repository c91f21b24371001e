"""The empty street, painted once a clip: every canvas pixel's ray is met with ground and walls."""

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.scenes.drawing import temperature_code, tint
from pipeline.scenes.street import STREET_END_M, Block, Street

Map = NDArray[np.float32]

_WINDOW_LIGHT = np.array([255, 206, 140], np.float32)
_HEDGE = np.array([62, 92, 48], np.float32)
_FRAME = np.array([188, 184, 176], np.float32)
_GLASS = np.array([0.85, 1.0, 1.15], np.float32)
_HAZE = np.array([200, 208, 216], np.float32)
_TILE = 256  # samples a side of the tiles of noise
_SKY, _GROUND, _LEFT, _RIGHT, _GABLE, _END = range(6)


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """An empty street on the canvas.

    Attributes:
        planes: uint8 [h, w, 4]: red, green, blue, temperature code.
        light: float32 [h, w], how much of its colour a pixel shows.
        shine: uint8 [h, w, 3], own light of the windows that are lit.
        wall_depth: float32 [h, w], metres to the facade, infinite where there is none.
        world: float32 [h, w, 3], x, y and z of what each pixel shows, in metres.
    """

    planes: NDArray[np.uint8]
    light: Map
    shine: NDArray[np.uint8]
    wall_depth: Map
    world: Map


class _Painter:
    def __init__(self, street: Street, seed: tuple[int, int]) -> None:
        self.street = street
        self.rng = np.random.default_rng([*seed, int(street.climate.night), 2])
        self.rough = self._noise(0.0)
        self.cloudy = self._noise(9.0)
        self._meet()

    def _noise(self, blur: float) -> Map:
        """A tile of noise that wraps, of mean 0 and deviation 1."""
        tile: Map = self.rng.standard_normal((_TILE, _TILE), np.float32)
        if blur:
            wide = np.asarray(cv2.GaussianBlur(np.tile(tile, (2, 2)), (0, 0), blur), np.float32)
            middle = slice(_TILE // 2, -_TILE // 2)
            tile = wide[middle, middle]
        tile = (tile - tile.mean()) / tile.std()
        return tile

    def sample(self, tile: Map, u: Map, v: Map, scale: float) -> Map:
        """The noise at surface coordinates in metres, ``scale`` samples a metre."""
        u, v = u * scale % _TILE, v * scale % _TILE
        out = cv2.remap(tile, u, v, cv2.INTER_LINEAR, None, cv2.BORDER_WRAP)
        return np.asarray(out, np.float32)

    def _meet(self) -> None:
        """Find the surface, and the point on it, that each pixel's ray meets first."""
        camera, wall = self.street.camera, self.street.wall
        h, w = camera.canvas
        across = (np.arange(w, dtype=np.float32) + 0.5 - camera.centre_x) / camera.focal
        up = (camera.horizon - np.arange(h, dtype=np.float32) - 0.5) / camera.focal
        a, b = np.meshgrid(across, up)
        edge = np.where(a < 0, -wall - camera.x, wall - camera.x).astype(np.float32)
        slope = np.asarray(np.where(np.abs(a) < 1e-5, np.copysign(1e-5, a), a), np.float32)
        side_z: Map = edge / slope
        ground_z = np.where(b < -1e-5, camera.height / np.maximum(-b, 1e-5), 1e9).astype(np.float32)
        ceiling = np.where(
            a < 0, _along(self.street.sides[0], side_z), _along(self.street.sides[1], side_z)
        )
        side_y = camera.height + b * side_z
        on_side = (side_y > 0) & (side_y < ceiling) & (side_z < STREET_END_M)
        surface = np.where(on_side, np.where(a < 0, _LEFT, _RIGHT), _SKY)
        z = np.where(on_side, side_z, np.float32(STREET_END_M))
        x = np.where(on_side, np.sign(a) * wall, camera.x + a * z)
        for side, block in self._gables():
            # Seen over the house before it, or through the mouth of a side street.
            far_x = side * (camera.x + a * block.start)
            far_y = camera.height + b * block.start
            gable = (surface == _SKY) & (far_x > wall) & (far_x < wall + 14)
            gable &= (side_z < block.start) & (far_y < block.height)
            surface = np.where(gable, _GABLE, surface)
            z = np.where(gable, np.float32(block.start), z)
            x = np.where(gable, side * far_x, x)
        end_y = camera.height + b * STREET_END_M
        beyond = (surface == _SKY) & (np.abs(x) < 60)
        beyond &= (end_y < self.street.sides[0][-1].height) & (end_y > 0)
        surface = np.where(beyond, _END, surface)
        ground = ground_z < z
        self.surface = np.where(ground, _GROUND, surface)
        self.z = np.where(ground, ground_z, z).astype(np.float32)
        self.x = np.where(ground, camera.x + a * ground_z, x).astype(np.float32)
        self.y = np.where(ground, 0, camera.height + b * self.z).astype(np.float32)
        self.up = b

    def _gables(self) -> list[tuple[int, Block]]:
        """The sides, -1 or 1, and the houses that stand taller than the one before them."""
        return [
            (side, block)
            for side, blocks in zip((-1, 1), self.street.sides, strict=True)
            for before, block in pairwise(blocks)
            if block.height > before.height
        ]

    def paint(self) -> Backdrop:
        h, w = self.street.camera.canvas
        self.rgb = np.zeros((h, w, 3), np.float32)
        self.celsius = np.zeros((h, w), np.float32)
        self.shine = np.zeros((h, w, 3), np.uint8)
        self._sky()
        self._ground()
        for surface, side in ((_LEFT, 0), (_RIGHT, 1)):
            for block in self.street.sides[side]:
                mask = (self.surface == surface) & (self.z >= block.start) & (self.z < block.end)
                self._facade(mask, self.z, block)
                gable = (self.surface == _GABLE) & (self.z == np.float32(block.start))
                gable &= self.x < 0 if side == 0 else self.x > 0
                self._facade(gable, self.x, replace(block, paint=tint(block.paint, 0.9)))
        self._facade(self.surface == _END, self.x, self.street.sides[0][-1])
        self._haze()
        walls = np.isin(self.surface, (_LEFT, _RIGHT, _GABLE))
        return Backdrop(
            planes=np.dstack([np.clip(self.rgb, 0, 255).astype(np.uint8),
                              temperature_code(self.celsius)]),
            light=self._daylight(),
            shine=self.shine,
            wall_depth=np.where(walls, self.z, np.float32(np.inf)),
            world=np.dstack([self.x, self.y, self.z]),
        )  # fmt: skip

    def _sky(self) -> None:
        camera = self.street.camera
        # Beyond the street's end there is sky, a little below the horizon too.
        above = np.s_[: int(camera.horizon + camera.focal * camera.height / STREET_END_M) + 2]
        mask, up = self.surface[above] == _SKY, self.up[above]
        height = np.clip(up * 2.2, 0, 1)[mask][:, None]
        cloud = self.sample(self.cloudy, self.x[above] * 0.2, up * 60, 1.0)[mask][:, None]
        cover = np.clip(0.35 + 0.4 * cloud + self.rng.uniform(-0.3, 0.5), 0, 1)
        clear = (1 - height) * (202, 218, 232) + height * (112, 158, 214)
        self.rgb[above][mask] = clear * (1 - cover) + cover * (214, 217, 222)
        self.celsius[above][mask] = (
            self.street.climate.sky_c + 4 * cover[:, 0] + 8 * (1 - height[:, 0])
        )

    def _ground(self) -> None:
        street = self.street
        below = np.s_[int(street.camera.horizon) :]  # only there can the ground be
        mask, x, z = self.surface[below] == _GROUND, self.x[below], self.z[below]
        grain = self.sample(self.rough, x, z, 9.0) * np.clip(10 / z, 0.1, 1)
        patches = self.sample(self.cloudy, x, z, 2.0)
        on_road = np.abs(x) < street.road
        if street.junction is not None:
            on_road |= (z > street.junction[0]) & (z < street.junction[1])
        asphalt = 88 + self.rng.uniform(-12, 14) + 6 * grain + 7 * patches
        slabs = 138 + 7 * grain + 5 * patches
        slabs -= 16 * ((z % 1.2 < 0.06) | (x % 1.2 < 0.05)) * (z < 25)
        tone = np.where(on_road, asphalt, slabs)
        kerb = (np.abs(np.abs(x) - street.road) < 0.12) & on_road
        tone = np.where(kerb, 176, tone)
        paint = _markings(street, on_road, x, z)
        tone = np.where(paint, 205 + 10 * patches + 8 * grain, tone)
        hue = np.where(paint, 0.0, 1.0)[..., None] * (0.0, 0.005, 0.025)
        self.rgb[below][mask] = (tone[..., None] * (1 + hue))[mask]
        warm = street.climate.road_c + 0.7 * patches + 0.35 * grain
        warm = np.where(on_road, warm, warm - 1.0) - 0.8 * paint
        self.celsius[below][mask] = warm[mask]

    def _facade(self, mask: NDArray[np.bool_], along: Map, block: Block) -> None:
        if block.height == 0 or not mask.any():
            return
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        roi = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        inside, u, y = mask[roi], along[roi], self.y[roi]
        climate = self.street.climate
        stain = self.sample(self.cloudy, u, y, 3.0)
        grain = self.sample(self.rough, u, y, 7.0) * np.clip(9 / self.z[roi], 0.1, 1)
        tone = 1 + 0.05 * stain + 0.035 * grain - 0.16 * (y % block.storey < 0.14)
        rgb = tone[..., None] * np.asarray(block.paint, np.float32)
        celsius = climate.wall_c + block.warmer + 0.8 * stain + 0.4 * grain
        if block.height < 3.1:  # a hedge along a garden
            rgb = (1 + 0.3 * grain + 0.22 * stain)[..., None] * _HEDGE
            celsius = climate.air_c + 0.6 * grain + stain * 0.5
        else:
            frame, pane, lot, height = _windows(u, y, block)
            rgb = np.where(frame[..., None], _FRAME, rgb)
            glass = (40 + 55 * lot + 40 * height)[..., None] * _GLASS
            rgb = np.where(pane[..., None], glass, rgb)
            celsius = np.where(frame, celsius + 0.5, celsius)
            celsius = np.where(pane, climate.air_c - 3.5 + 3.0 * lot - 2.0 * height, celsius)
            if climate.night:
                lit = inside & pane & (lot > 0.8)
                warm = (0.25 + 0.4 * (lot * 57 % 1))[..., None] * _WINDOW_LIGHT
                self.shine[roi][lit] = warm[lit].astype(np.uint8)
        self.rgb[roi][inside], self.celsius[roi][inside] = rgb[inside], celsius[inside]

    def _haze(self) -> None:
        far = (1 - np.exp(-self.z / 260))[..., None] * (self.surface != _SKY)[..., None]
        self.rgb = self.rgb * (1 - far) + far * _HAZE

    def _daylight(self) -> Map:
        """Sun and shade by day, the pools of the lamps by night."""
        street = self.street
        if street.climate.night:
            return night_light(street, self.x, self.y, self.z, self.surface == _SKY)
        shaded = (self.surface == (_LEFT if street.sun > 0 else _RIGHT)) | (
            (self.surface == _GROUND) & (self.x * street.sun < shadow_edge(street))
        )
        soft = np.asarray(cv2.GaussianBlur(shaded.astype(np.float32), (0, 0), 1.5), np.float32)
        self.celsius += np.where(self.surface == _SKY, 0, (0.5 - soft) * 3.0)
        light: Map = 1.04 - 0.36 * soft
        return light


def _markings(street: Street, on_road: NDArray[np.bool_], x: Map, z: Map) -> NDArray[np.bool_]:
    """Where the road is painted white: dashes, edge lines, and a crossing before a junction."""
    clear_of_mouth = np.ones_like(on_road)
    crossing = np.zeros_like(on_road)
    if street.junction is not None:
        near, far = street.junction
        clear_of_mouth = (z < near - 4) | (z > far + 1)
        crossing = (z > near - 3.6) & (z < near - 0.9) & (x % 1.0 < 0.5)
        crossing &= np.abs(x) < street.road - 0.2
    middle = (np.abs(x) < 0.07) & (z % 6.0 < 3.2)
    edges = np.abs(np.abs(x) - street.road + 0.45) < 0.06
    paint: NDArray[np.bool_] = on_road & (((middle | edges) & clear_of_mouth) | crossing)
    return paint


def _windows(u: Map, y: Map, block: Block) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Map, Map]:
    """Windows of a facade: where frames and panes are, a lot drawn for each, height in it."""
    column, storey = np.floor(u / block.bay), np.floor(y / block.storey)
    in_u, in_y = u / block.bay - column, y / block.storey - storey
    frame = (np.abs(in_u - 0.5) < 0.31) & (np.abs(in_y - 0.55) < 0.29) & (y < block.height - 0.5)
    pane = (np.abs(in_u - 0.5) < 0.26) & (np.abs(in_y - 0.55) < 0.25) & frame
    pane &= np.abs(in_u - 0.5) > 0.02
    lot = np.sin(column * 12.9898 + storey * 78.233 + block.start) * 437.585453 % 1
    return frame, pane, lot.astype(np.float32), in_y


def _along(blocks: tuple[Block, ...], z: Map) -> Map:
    """Height of the building at each z."""
    starts = np.array([block.start for block in blocks], np.float32)
    heights = np.array([block.height for block in blocks], np.float32)
    index = np.searchsorted(starts, z, side="right") - 1
    found: Map = heights[np.clip(index, 0, len(blocks) - 1)]
    return found


def shadow_edge(street: Street) -> float:
    """How far, towards the sunny side, the shadow of the houses reaches over the ground."""
    return -0.35 * street.road


def night_light(street: Street, x: Map, y: Map, z: Map, open_sky: NDArray[np.bool_]) -> Map:
    """How much of its colour each point of the world shows under the street lamps, about 0 to 1."""
    light = np.full_like(z, 0.085)
    for lamp_x, lamp_z in street.lamps:
        inward = lamp_x - np.sign(lamp_x) * 1.2
        squared = (x - inward) ** 2 + (z - lamp_z) ** 2 + 0.25 * (y - 2.0) ** 2
        light += 0.95 / (1 + squared / 9.0) ** 1.6
    return np.asarray(np.where(open_sky, np.float32(0.03), light), np.float32)


def paint_backdrop(street: Street, seed: tuple[int, int]) -> Backdrop:
    """Paint a street without anybody on it."""
    return _Painter(street, seed).paint()
