"""Polygons in the world, drawn as four planes at once: red, green, blue and temperature."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

SUPERSAMPLING = 2  # canvas pixels an image pixel, along each axis: the painters' antialiasing
_SUBPIXEL_BITS = 4
_CAP = np.linspace(-np.pi / 2, np.pi / 2, 5)  # the directions of a rod's round end
_NEAREST_M = 0.3  # points nearer than this, or behind the camera, are drawn as if at this depth

COLDEST_C = -25.0
_CODES_PER_KELVIN = 2.8

RGB = tuple[float, float, float]


def temperature_code(celsius: ArrayLike) -> NDArray[np.uint8]:
    """Temperatures as the canvas stores them: 1 to 255, so that 0 is left to mean *nothing here*.

    Args:
        celsius: Any shape; -25 to 65.7 degrees are kept apart, beyond them the codes saturate.
    """
    scaled = (np.asarray(celsius, np.float32) - COLDEST_C) * _CODES_PER_KELVIN + 1
    codes: NDArray[np.uint8] = np.clip(np.rint(scaled), 1, 255).astype(np.uint8)
    return codes


def temperature(code: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Degrees Celsius of canvas codes, the inverse of ``temperature_code`` within 0.2 K."""
    return (code.astype(np.float32) - 1) / np.float32(_CODES_PER_KELVIN) + np.float32(COLDEST_C)


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
    """

    canvas: tuple[int, int]
    focal: float
    centre_x: float
    horizon: float
    x: float
    height: float

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """World points (n, 3) in metres to canvas pixels (n, 2), column and row."""
        depth = np.maximum(points[:, 2], _NEAREST_M)
        column = self.centre_x + self.focal * (points[:, 0] - self.x) / depth
        row = self.horizon + self.focal * (self.height - points[:, 1]) / depth
        return np.stack([column, row], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A filled flat polygon.

    Attributes:
        points: float64 (k, 3), world coordinates in metres.
        colour: Surface colour, each channel 0 to 255; for a lamp, its light.
        celsius: Apparent temperature.
    """

    points: NDArray[np.float64]
    colour: RGB
    celsius: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A drawn object, larger than the canvas where the object is.

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
        """Bool (h, w): where the object is, whether the canvas shows it or not."""
        return self.planes[:, :, 3] > 0


def draw(camera: Camera, shapes: Sequence[Shape]) -> Sprite:
    """Paint polygons in the order given, the first one deepest.

    What lies over one canvas away from the canvas is cut off, which bounds the memory.
    """
    height, width = camera.canvas
    projected = camera.project(np.concatenate([shape.points for shape in shapes]))
    low = np.floor(projected.min(axis=0)).astype(int) - 1
    high = np.ceil(projected.max(axis=0)).astype(int) + 2
    left, top = np.clip(low, [-width, -height], [2 * width - 1, 2 * height - 1])
    right, bottom = np.clip(high, [left + 1, top + 1], [2 * width, 2 * height])
    planes = np.zeros((bottom - top, right - left, 4), np.uint8)
    reach = 8 * max(width, height)  # keeps the fixed-point coordinates far from overflow
    fixed = np.clip(projected - (left, top), -reach, reach) * (1 << _SUBPIXEL_BITS)
    vertices = np.rint(fixed).astype(np.int32)
    colours = np.clip([shape.colour for shape in shapes], 0, 255)
    codes = temperature_code([shape.celsius for shape in shapes])
    start = 0
    for shape, paint in zip(shapes, np.column_stack([colours, codes]).tolist(), strict=True):
        end = start + len(shape.points)
        cv2.fillPoly(planes, [vertices[start:end]], paint, shift=_SUBPIXEL_BITS)
        start = end
    return Sprite(int(left), int(top), planes)


def tint(colour: RGB, factor: float) -> RGB:
    """The colour made darker or brighter."""
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def upright(outline: ArrayLike, x: float, y: float, z: float) -> NDArray[np.float64]:
    """Stand a flat outline (k, 2) of x and y up at a place, facing the camera: (k, 3)."""
    flat = np.asarray(outline, np.float64)
    points = np.full((len(flat), 3), z)
    points[:, :2] = flat + np.array([x, y])
    return points


def ellipse(radius_x: float, radius_y: float, count: int = 14) -> NDArray[np.float64]:
    """Outline (count, 2) of an ellipse round the origin."""
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([radius_x * np.cos(angle), radius_y * np.sin(angle)], axis=1)


def limb(
    start: NDArray[np.float64], end: NDArray[np.float64], radii: tuple[float, float]
) -> NDArray[np.float64]:
    """A tapered rod with round ends that faces the camera, from 3D point to 3D point: (10, 3)."""
    across = end[:2] - start[:2]
    turns = _CAP + float(np.arctan2(across[1], across[0]))
    outline = np.empty((10, 3))
    outline[:5], outline[5:] = end, start
    arc = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    outline[:5, :2] += arc * radii[1]
    outline[5:, :2] -= arc * radii[0]
    return outline
