"""Drawing of 3D polygons into four planes: red, green, blue and temperature."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

SUPERSAMPLING = 2  # canvas pixels per image pixel along each axis, for antialiasing
_SUBPIXEL_BITS = 4
_TURNS = np.linspace(-np.pi / 2, np.pi / 2, 5)
_CAP = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1)  # the round end of a limb, to the right
_NEAREST_M = 0.3  # least depth of points; nearer ones and those behind the camera are moved to it

COLDEST_K = -40.0  # temperature of code 1, over the air's
_CODES_PER_KELVIN = 2.8

RGB = tuple[float, float, float]
Point = tuple[float, float, float]  # x, y, z
Rod = tuple[Point, Point, tuple[float, float]]  # start, end, and the radii there


def temperature_code(kelvin: ArrayLike) -> NDArray[np.uint8]:
    """Code temperatures as 1 to 255; 0 is reserved for pixels without an object.

    Args:
        kelvin: Temperatures over the air's, any shape; codes saturate outside -40 to 50.7.
    """
    scaled = (np.asarray(kelvin, np.float32) - COLDEST_K) * _CODES_PER_KELVIN + 1
    # faster than np.clip for the few codes of a sprite
    codes: NDArray[np.uint8] = np.minimum(np.maximum(np.rint(scaled), 1), 255).astype(np.uint8)
    return codes


def temperature(code: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Decode to kelvins over the air's temperature: inverts ``temperature_code`` within 0.2 K."""
    return (code.astype(np.float32) - 1) / np.float32(_CODES_PER_KELVIN) + np.float32(COLDEST_K)


@dataclass(frozen=True, slots=True)
class Camera:
    """A level pinhole camera that looks along +z; x points right and y up, in metres.

    Attributes:
        canvas: Height and width of the canvas in canvas pixels.
        focal: Focal length in canvas pixels.
        centre_x: Canvas column of the vanishing point of the street.
        horizon: Canvas row of the horizon.
        x: Lateral position in metres.
        height: Height over the ground in metres.
        z: Position along the street in metres.
    """

    canvas: tuple[int, int]
    focal: float
    centre_x: float
    horizon: float
    x: float
    height: float
    z: float = 0.0

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Project world points (n, 3) in metres to canvas pixels (n, 2), column and row."""
        depth = np.maximum(points[:, 2] - self.z, _NEAREST_M)
        pixels = np.empty((len(points), 2))
        pixels[:, 0] = self.centre_x + self.focal * (points[:, 0] - self.x) / depth
        pixels[:, 1] = self.horizon + self.focal * (self.height - points[:, 1]) / depth
        return pixels


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A filled flat polygon.

    Attributes:
        points: float64 (k, 3), world coordinates in metres.
        colour: Surface colour, each channel 0 to 255; for a lamp, the light it emits.
        celsius: Apparent temperature.
    """

    points: NDArray[np.float64]
    colour: RGB
    celsius: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A drawn object, which may extend beyond the canvas.

    Attributes:
        left: Canvas column of the first column.
        top: Canvas row of the first row.
        planes: uint8 (h, w, 4): red, green, blue, temperature code; code 0 is outside.
    """

    left: int
    top: int
    planes: NDArray[np.uint8]

    @property
    def silhouette(self) -> NDArray[np.bool_]:
        """Bool (h, w), mask of the object, including parts that are hidden or off the canvas."""
        return self.planes[:, :, 3] > 0


def draw(camera: Camera, shapes: Sequence[Shape], air_c: float = 0.0) -> Sprite:
    """Paint polygons in the given order, the farthest first; codes are relative to ``air_c``.

    To bound the memory, parts more than one canvas size outside the canvas are cut off.
    """
    height, width = camera.canvas
    projected = camera.project(np.concatenate([shape.points for shape in shapes]))
    low, high = projected.min(axis=0).tolist(), projected.max(axis=0).tolist()
    left, top = (
        _between(low[0] - 1, -width, 2 * width - 1),
        _between(low[1] - 1, -height, 2 * height - 1),
    )
    right = _between(high[0] + 3, left + 1, 2 * width)
    bottom = _between(high[1] + 3, top + 1, 2 * height)
    planes = np.zeros((bottom - top, right - left, 4), np.uint8)
    reach = 8 * max(width, height)  # avoids overflow of the fixed-point coordinates
    inside = np.minimum(np.maximum(projected - (left, top), -reach), reach)
    vertices = np.rint(inside * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    codes = temperature_code([shape.celsius - air_c for shape in shapes]).tolist()
    start = 0
    for shape, code in zip(shapes, codes, strict=True):
        end = start + len(shape.points)
        paint = (*shape.colour, code)  # saturated by OpenCV
        cv2.fillPoly(planes, [vertices[start:end]], paint, shift=_SUBPIXEL_BITS)
        start = end
    return Sprite(left, top, planes)


def _between(value: float, low: int, high: int) -> int:
    return min(max(math.floor(value), low), high)


def tint(colour: RGB, factor: float) -> RGB:
    """Make a colour darker or brighter by a factor."""
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def upright(outline: ArrayLike, x: float, y: float, z: float) -> NDArray[np.float64]:
    """Place an outline (k, 2) of x and y in the world, facing the camera: (k, 3)."""
    flat = np.asarray(outline, np.float64)
    points = np.full((len(flat), 3), z)
    points[:, :2] = flat + np.array([x, y])
    return points


@lru_cache(maxsize=512)
def ellipse(radius_x: float, radius_y: float, count: int = 14) -> NDArray[np.float64]:
    """Outline (count, 2) of an ellipse around the origin; cached, hence read-only."""
    angle = np.arange(count) * (2 * np.pi / count)
    outline = np.stack([radius_x * np.cos(angle), radius_y * np.sin(angle)], axis=1)
    outline.setflags(write=False)
    return outline


def draw_limbs(rods: Sequence[Rod]) -> NDArray[np.float64]:
    """Outlines (n, 10, 3) of tapered rods with round ends, facing the camera."""
    starts, ends, radii = (np.array(part) for part in zip(*rods, strict=True))
    turns = []
    for (x0, y0, _), (x1, y1, _), _ in rods:
        dx, dy = float(x1 - x0), float(y1 - y0)
        length = math.hypot(dx, dy)
        c, s = (dx / length, dy / length) if length > 0 else (1.0, 0.0)
        turns.append(((c, s), (-s, c)))
    arcs = _CAP @ np.array(turns)  # [n, 5, 2]
    outlines = np.empty((len(rods), 10, 3))
    outlines[:, :5], outlines[:, 5:] = ends[:, None], starts[:, None]
    outlines[:, :5, :2] += arcs * radii[:, 1, None, None]
    outlines[:, 5:, :2] -= arcs * radii[:, 0, None, None]
    return outlines


def largest(canvas: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The maximum of each image pixel's canvas pixels: [2 H, 2 W] to [H, W].

    A pixel that is partly covered takes the light of the nearer object; with the light of the sky,
    edges of walls would glow at night.
    """
    step = SUPERSAMPLING
    rows = np.maximum.reduce([canvas[i::step] for i in range(step)])  # [H, 2 W]
    return np.asarray(np.maximum.reduce([rows[:, i::step] for i in range(step)]), np.uint8)


def three(plane: NDArray[Any]) -> NDArray[Any]:
    """Repeat a plane in three channels, for which OpenCV is much faster than broadcasting."""
    return np.asarray(cv2.merge([plane, plane, plane]))
