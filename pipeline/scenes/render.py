"""Clips: a street seen by a visible and an infrared camera, with the boxes of all that it shows."""

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from eval.labels import Labels
from pipeline.scenes.actors import Actor, beam_light, beams, light_at, moving, standing
from pipeline.scenes.backdrop import Backdrop, Map, paint_backdrop
from pipeline.scenes.drawing import SUPERSAMPLING, Sprite, draw, temperature_code
from pipeline.scenes.sensors import InfraredSensor, VisibleSensor
from pipeline.scenes.street import Street, build_street

SMALLEST = 64  # pixels a side, below which nothing can be told apart
_LABELLED, _IGNORED = 0.3, 0.1  # visible share from which an object counts, and is ignored
_SMALLEST_LABEL = 8.0  # pixels of height below which an object is ignored


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One moment of a clip.

    Attributes:
        ir: uint8 [H, W].
        vis: uint8 [H, W, 3], RGB.
        labels: Exact boxes, COCO class ids (0 person, 2 car).
    """

    ir: NDArray[np.uint8]
    vis: NDArray[np.uint8]
    labels: Labels


@dataclass(slots=True, eq=False)
class _Canvas:
    """The planes that objects are put on, deepest first."""

    planes: NDArray[np.uint8]
    light: Map
    shine: NDArray[np.uint8]
    owner: NDArray[np.uint8]


class Clip:
    """A fixed camera on a street; every frame is a pure function of seed, time of day and index."""

    def __init__(
        self, seed: int, number: int, *, night: bool, size: tuple[int, int], frame_rate: Fraction
    ) -> None:
        """Lay out the street and paint what never moves.

        Args:
            seed: Of the run, from 0.
            number: Of the clip, from 0: each is another street.
            night: Whether it is dark.
            size: Height and width in pixels, at least 64 each.
            frame_rate: Frames per second.

        Raises:
            ValueError: The size is too small.
        """
        if min(size) < SMALLEST:
            raise ValueError(f"a scene needs {SMALLEST} pixels a side, got {size[0]}x{size[1]}")
        self.size = size
        self.street: Street = build_street((seed, number), size, night=night)
        self._seed = (seed, number, int(night))
        self._frame_rate = frame_rate
        self._backdrop: Backdrop = paint_backdrop(self.street, (seed, number))
        coarse = (max(size[1] // 2, 1), max(size[0] // 2, 1))
        world = cv2.resize(self._backdrop.world, coarse, interpolation=cv2.INTER_NEAREST)
        self._coarse_world: Map = np.asarray(world, np.float32)
        self._standing = standing(self.street)
        rng = np.random.default_rng([*self._seed, 3])
        self._visible = VisibleSensor(rng, size, self.street.climate)
        self._infrared = InfraredSensor(rng, size, self.street.climate)

    def actors(self, index: int) -> list[Actor]:
        """Everything in front of the backdrop at a frame, deepest first."""
        everything = self._standing + moving(self.street, self._seconds(index))
        return sorted(everything, key=lambda actor: -actor.place[1])

    def scene(self, index: int) -> Scene:
        """Frame ``index``, from 0, with its labels."""
        actors = self.actors(index)
        canvas = self._compose(actors, index)
        rng = np.random.default_rng([*self._seed, 4, index])
        return Scene(
            ir=self._infrared.expose(canvas.planes, rng),
            vis=self._visible.expose(canvas.planes, canvas.light, canvas.shine, rng),
            labels=_labels(actors, canvas.owner, self.size),
        )  # fmt: skip

    def labels(self, index: int) -> Labels:
        """The labels of frame ``index`` alone."""
        actors = self.actors(index)
        return _labels(actors, self._compose(actors, index).owner, self.size)

    def _seconds(self, index: int) -> float:
        return float(index / self._frame_rate)

    def _compose(self, actors: list[Actor], index: int) -> _Canvas:
        height, width = self.street.camera.canvas
        lit_by = beams(self.street, self._seconds(index))
        light = self._backdrop.light.copy()
        if lit_by:
            beam = beam_light(lit_by, self._coarse_world[:, :, 0], self._coarse_world[:, :, 2])
            light += np.asarray(cv2.resize(beam, (width, height)), np.float32)
        canvas = _Canvas(
            self._backdrop.planes.copy(), light,
            self._backdrop.shine.copy(), np.zeros((height, width), np.uint8),
        )  # fmt: skip
        for number, actor in enumerate(actors, start=1):
            self._cast_shadow(canvas, actor)
            self._put(canvas, actor, number, light_at(self.street, lit_by, actor.place))
        return canvas

    def _put(self, canvas: _Canvas, actor: Actor, number: int, light: float) -> None:
        """Lay a sprite over what is deeper, and its lamps over it."""
        planes, roi, mask = self._in_view(actor.sprite, actor.place[1])
        if planes.size == 0:
            return
        cv2.copyTo(planes, mask.view(np.uint8), canvas.planes[roi])
        # One side of things is a little brighter than the other: it rounds them.
        shade = np.linspace(0.86, 1.1, planes.shape[1], dtype=np.float32)[:: self.street.sun]
        np.copyto(canvas.light[roi], (shade * light)[None, :], where=mask)
        np.copyto(canvas.owner[roi], np.uint8(number), where=mask)
        canvas.shine[roi][mask] = 0
        if actor.lights:
            planes, roi, mask = self._in_view(
                draw(self.street.camera, actor.lights), actor.place[1]
            )
            canvas.shine[roi][mask] = planes[mask][:, :3]

    def _in_view(
        self, sprite: Sprite, depth: float
    ) -> tuple[NDArray[np.uint8], tuple[slice, slice], NDArray[np.bool_]]:
        """A sprite's part on the canvas, its place there, and where no house stands before it."""
        roi, part = _overlap(
            sprite.left, sprite.top, sprite.planes.shape, self.street.camera.canvas
        )
        planes = sprite.planes[part]
        return planes, roi, (planes[:, :, 3] > 0) & (self._backdrop.wall_depth[roi] > depth)

    def _cast_shadow(self, canvas: _Canvas, actor: Actor) -> None:
        if actor.ground is None:
            return
        corners = self.street.camera.project(actor.ground)
        h, w = self.street.camera.canvas
        low, high = (
            np.floor(corners.min(axis=0)).astype(int),
            np.ceil(corners.max(axis=0)).astype(int),
        )
        left, top = np.clip(low - 3, 0, (w, h))
        right, bottom = np.clip(high + 4, (left, top), (w, h))
        if right <= left or bottom <= top:
            return
        dark = np.zeros((bottom - top, right - left), np.float32)
        inside = np.clip(np.rint(corners - (left, top)), -4 * w, 4 * w).astype(np.int32)
        cv2.fillPoly(dark, [inside], 1.0)
        roi = np.s_[top:bottom, left:right]
        dark *= self._backdrop.wall_depth[roi] == np.inf
        if actor.ground_c is not None:
            warm = canvas.planes[:, :, 3][roi]
            np.maximum(warm, temperature_code(actor.ground_c) * (dark > 0), out=warm)
        canvas.light[roi] *= 1 - np.float32(0.55) * cv2.GaussianBlur(dark, (0, 0), 1.5)


def _overlap(
    left: int, top: int, shape: tuple[int, ...], canvas: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a sprite that lies on the canvas: where on the canvas, where on the sprite."""
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = max(min(top + shape[0], canvas[0]), y0), max(min(left + shape[1], canvas[1]), x0)
    on_sprite = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    return (slice(y0, y1), slice(x0, x1)), on_sprite


def _labels(actors: list[Actor], owner: NDArray[np.uint8], size: tuple[int, int]) -> Labels:
    """Boxes of the silhouettes, clipped to the image, of what is seen well enough.

    The share that is seen is of the whole silhouette, the part outside the image included.
    """
    seen = np.bincount(owner.ravel(), minlength=256)
    boxes, classes, ignored = [], [], []
    for number, actor in enumerate(actors, start=1):
        if actor.class_id is None or not seen[number]:
            continue
        silhouette = actor.sprite.silhouette
        share = seen[number] / np.count_nonzero(silhouette)
        box = _extent(actor.sprite.left, actor.sprite.top, silhouette, size)
        if share < _IGNORED:
            continue
        if share < _LABELLED or box[3] - box[1] < _SMALLEST_LABEL:
            ignored.append(box)
        else:
            boxes.append(box)
            classes.append(actor.class_id)
    return Labels(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(classes, np.int64),
        np.array(ignored, np.float64).reshape(-1, 4),
    )


def _extent(
    left: int, top: int, silhouette: NDArray[np.bool_], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a silhouette's part in the image, in image pixels."""
    height, width = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    _, (rows, columns) = _overlap(left, top, silhouette.shape, (height, width))
    inside = silhouette[rows, columns]
    y = np.flatnonzero(inside.any(axis=1)) + rows.start + top
    x = np.flatnonzero(inside.any(axis=0)) + columns.start + left
    scale = float(SUPERSAMPLING)
    return x[0] / scale, y[0] / scale, (x[-1] + 1) / scale, (y[-1] + 1) / scale
