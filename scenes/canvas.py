"""The canvas: the empty street and all actors, painted from far to near."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.actors import Actor
from scenes.backdrop import View, Walls
from scenes.climate import Moment
from scenes.drawing import SUPERSAMPLING, Camera, Sprite, draw, largest, temperature_code
from scenes.surfaces import Map

_Part = tuple[NDArray[np.uint8], tuple[slice, slice], NDArray[np.bool_]]


class Stage:
    """Who is seen at one time, without colours.

    Attributes:
        walls: The facades of the street.
        camera: The camera.
        actors: All actors, from far to near.
        owner: uint8 [h, w], index into ``actors`` plus 1 of the actor at each pixel, or 0.
    """

    def __init__(self, walls: Walls, camera: Camera, actors: Sequence[Actor]) -> None:
        self.walls, self.camera, self.actors = walls, camera, actors
        self.owner = np.zeros(camera.canvas, np.uint8)
        for number, actor in enumerate(actors, start=1):
            self._put(actor, number)

    def _put(self, actor: Actor, number: int) -> None:
        """Enter the visible pixels of an actor."""
        _, roi, mask = self._in_view(actor.sprite, actor.place[1] - self.camera.z)
        np.copyto(self.owner[roi], number, where=mask)

    def _in_view(self, sprite: Sprite, depth: float) -> _Part:
        """The part of a sprite on the canvas, its slices, and its mask without hidden pixels."""
        height, width = self.camera.canvas
        y0, x0 = max(sprite.top, 0), max(sprite.left, 0)
        y1 = max(min(sprite.top + sprite.planes.shape[0], height), y0)
        x1 = max(min(sprite.left + sprite.planes.shape[1], width), x0)
        roi = (slice(y0, y1), slice(x0, x1))
        planes = sprite.planes[
            y0 - sprite.top : y1 - sprite.top, x0 - sprite.left : x1 - sprite.left
        ]
        mask = planes[:, :, 3] > 0
        nearer = self.walls.depth[roi[1]] < depth
        if nearer.any():
            mask &= ~(self.walls.mask[roi] & nearer)
        return planes, roi, mask


class Canvas(Stage):
    """The composed scene at one time, before the sensors.

    Attributes:
        view: The empty street.
        moment: Light and temperatures.
        planes: uint8 [h, w, 4]: red, green, blue, temperature code.
        small_owner: uint8 [H, W], ``owner`` at the image's size.
        depth: float32 [H, W] in metres, infinite in the sky.
        shadows: float32 [H, W], factor of the light, 1 without shadow.
        shine: float32 [H, W, 3], light of lamps.
        speed: Speed of the camera along the street, in m/s.
    """

    def __init__(
        self,
        view: View,
        walls: Walls,
        camera: Camera,
        moment: Moment,
        actors: Sequence[Actor],
        speed: float,
    ) -> None:
        self.view, self.moment, self.speed = view, moment, speed
        self.planes = view.planes
        small = view.depth.shape
        self.shadows = np.ones(small, np.float32)
        self.shine = np.zeros((*small, 3), np.float32)
        super().__init__(walls, camera, actors)
        self.small_owner: NDArray[np.uint8] = largest(self.owner)
        away = np.array([0.0] + [max(a.place[1] - camera.z, 1.0) for a in actors], np.float32)
        self.depth: Map = np.where(self.small_owner > 0, away[self.small_owner], view.depth)

    def flow(self) -> Map:
        """Optical flow in image pixels per second, float32 [H, W, 2]."""
        speeds = np.array([0.0] + [actor.speed for actor in self.actors], np.float32)
        rate = (np.float32(self.speed) - speeds[self.small_owner]) / self.depth
        height, width = rate.shape
        x = np.arange(width) - self.camera.centre_x / SUPERSAMPLING
        y = np.arange(height) - self.camera.horizon / SUPERSAMPLING
        flow = np.empty((height, width, 2), np.float32)
        flow[:, :, 0], flow[:, :, 1] = rate * x, rate * y[:, None]
        return flow

    def _put(self, actor: Actor, number: int) -> None:
        """Paint an actor's shadow and sprite, then its lamps."""
        self._cast_shadow(actor)
        planes, roi, mask = self._in_view(actor.sprite, actor.place[1] - self.camera.z)
        if planes.size == 0:
            return
        cv2.copyTo(planes, mask.view(np.uint8), self.planes[roi])
        np.copyto(self.owner[roi], number, where=mask)
        if self.moment.lit == 0:
            return
        (top, left), step = (roi[0].start, roi[1].start), SUPERSAMPLING
        rows, columns = (slice(-(-part.start // step), -(-part.stop // step)) for part in roi)
        self.shine[rows, columns][mask[-top % step :: step, -left % step :: step]] = 0
        if actor.lights:
            self._shine(actor)

    def _shine(self, actor: Actor) -> None:
        sprite = draw(self.camera, actor.lights)
        planes, roi, mask = self._in_view(sprite, actor.place[1] - self.camera.z)
        if planes.size == 0:
            return
        step = SUPERSAMPLING
        low = [part.start // step for part in roi]
        high = [-(-part.stop // step) for part in roi]
        lights = np.zeros(((high[0] - low[0]) * step, (high[1] - low[1]) * step, 3), np.float32)
        y0, x0 = roi[0].start - low[0] * step, roi[1].start - low[1] * step
        height, width = mask.shape
        lights[y0 : y0 + height, x0 : x0 + width][mask] = planes[mask][:, :3]
        size = (high[1] - low[1], high[0] - low[0])
        shrunk = cv2.resize(lights, size, interpolation=cv2.INTER_AREA)
        target = self.shine[low[0] : high[0], low[1] : high[1]]
        np.maximum(target, shrunk, out=target)

    def _cast_shadow(self, actor: Actor) -> None:
        if actor.ground is None:
            return
        corners = self.camera.project(actor.ground)
        if actor.ground_k is not None:
            self._warm(corners, actor.ground_k)
        corners = corners / SUPERSAMPLING
        h, w = self.view.depth.shape
        left, top, right, bottom = _box(corners, 3, (h, w))
        if right <= left or bottom <= top:
            return
        dark = np.zeros((bottom - top, right - left), np.float32)
        inside = np.clip((corners - np.array([left, top])) * 16, -60 * w, 60 * w)
        cv2.fillPoly(dark, [np.rint(inside).astype(np.int32)], 1.0, shift=4)
        step = SUPERSAMPLING
        dark *= ~self.walls.mask[
            top * step : bottom * step : step, left * step : right * step : step
        ]
        dark = np.asarray(cv2.GaussianBlur(dark, (0, 0), 0.8), np.float32)
        self.shadows[top:bottom, left:right] *= 1 - np.float32(0.55) * dark

    def _warm(self, corners: NDArray[np.float64], kelvin: float) -> None:
        """Warm the ground under a running car."""
        h, w = self.camera.canvas
        left, top, right, bottom = _box(corners, 0, (h, w))
        if right <= left or bottom <= top:
            return
        warm = np.zeros((bottom - top, right - left), np.uint8)
        inside = np.clip(corners - np.array([left, top]), -8 * w, 8 * w)
        cv2.fillPoly(warm, [np.rint(inside).astype(np.int32)], int(temperature_code(kelvin)))
        warm *= ~self.walls.mask[top:bottom, left:right]
        target = self.planes[top:bottom, left:right, 3]
        np.maximum(target, warm, out=target)


def _box(
    corners: NDArray[np.float64], margin: int, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Bounding box of a polygon, enlarged by ``margin`` and clipped: left, top, right, bottom."""
    (x0, y0), (x1, y1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    left, top = max(math.floor(x0) - margin, 0), max(math.floor(y0) - margin, 0)
    return (
        left,
        top,
        min(math.ceil(x1) + margin + 1, size[1]),
        min(math.ceil(y1) + margin + 1, size[0]),
    )
