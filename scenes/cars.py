"""A car as polygons: an extruded body, a tapered cabin with glass, wheels and lamps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scenes.car_profiles import Profile
from scenes.drawing import RGB, Camera, Shape, ellipse, tint

Points = NDArray[np.float64]
Plan = tuple[float, float]  # x and z

WHITE_LAMP: RGB = (255, 246, 220)
RED_LAMP: RGB = (255, 40, 25)
_TYRE: RGB = (28, 28, 30)
_RIM: RGB = (120, 122, 126)
_GLASS: RGB = (48, 58, 68)
_TRIM: RGB = (38, 38, 41)
# Radius in metres, colour, protrusion in metres, and kelvins over the temperature of the tyre.
_WHEEL = ((0.33, _TYRE, 0.0, 0.0), (0.21, _RIM, 0.01, 2.0), (0.08, _TYRE, 0.015, 4.0))


@dataclass(frozen=True, slots=True)
class Car:
    """The appearance of a car; temperatures in Celsius.

    Attributes:
        profile: Its shape.
        paint: Colour, 0 to 255.
        body_c: Temperature of the body away from the engine.
        glass_c: Apparent temperature of the windows, which reflect the cold sky.
        engine_c: Temperature of the grille; that of the bonnet is between grille and body.
        wheel_c: Temperature of the wheels.
        lamps: Whether the lamps are on.
    """

    profile: Profile
    paint: RGB
    body_c: float
    glass_c: float
    engine_c: float
    wheel_c: float
    lamps: bool


class _Frame:
    """The car's coordinates (forward, up, left), and which of its faces are visible."""

    def __init__(self, place: Plan, heading: Plan, camera: Camera) -> None:
        dx, dz = heading
        east, north = camera.x - place[0], camera.z - place[1]
        self.eye = np.array([east * dx + north * dz, camera.height, north * dx - east * dz])
        self._turn = np.array([[dx, 0.0, dz], [0.0, 1.0, 0.0], [-dz, 0.0, dx]])
        self._move = np.array([place[0], 0.0, place[1]])

    def world(self, points: Points) -> Points:
        turned: Points = points @ self._turn + self._move
        return turned

    def placed(self, shapes: Sequence[Shape]) -> list[Shape]:
        """Shapes in the car's coordinates, in the world; all at once is much faster."""
        points = self.world(np.concatenate([shape.points for shape in shapes]))
        placed, end = [], 0
        for shape in shapes:
            start, end = end, end + len(shape.points)
            placed.append(Shape(points[start:end], shape.colour, shape.celsius))
        return placed

    def sees(self, point: Sequence[float], normal: Sequence[float]) -> bool:
        return bool(np.dot(self.eye - np.asarray(point), np.asarray(normal)) > 0)


def car_shapes(
    car: Car, place: Plan, heading: Plan, camera: Camera
) -> tuple[list[Shape], list[Shape]]:
    """Draw a car.

    Args:
        car: The car.
        place: World x and z of the footprint's middle, in metres.
        heading: Unit vector, x and z, of its front.
        camera: The camera, which determines the visible faces.

    Returns:
        The polygons in painting order, and those that emit light, inside the silhouette.
    """
    frame = _Frame(place, heading, camera)
    sides = [side for side in (1, -1) if side * frame.eye[2] > car.profile.half_width]
    shapes = [shape for side in (1, -1) if side not in sides for shape in _wheels(car, side)]
    shapes += _below(car, frame) + _bonnet_and_boot(car, frame)
    lights: list[Shape] = []
    for side in sides:
        shapes += _side(car, side)
    front = frame.eye[0] > car.profile.body[-1][0]
    rear = frame.eye[0] < car.profile.body[0][0]
    if front or rear:
        face, lamps = _end(car, front=front)
        shapes += face
        lights += lamps
    shapes += [shape for side in sides for shape in _wheels(car, side)]
    shapes += _cabin(car, frame, sides)
    return frame.placed(shapes), frame.placed(lights) if car.lamps and lights else []


def footprint(car: Car, place: Plan, heading: Plan, camera: Camera) -> Points:
    """The ground under a car: (4, 3), a little wider than the car."""
    half, w = car.profile.body[-1][0] + 0.1, car.profile.half_width + 0.12
    corners = [(-half, 0.0, -w), (half, 0.0, -w), (half, 0.0, w), (-half, 0.0, w)]
    return _Frame(place, heading, camera).world(np.array(corners))


def _wheels(car: Car, side: int) -> list[Shape]:
    """The two wheels of a side: tyre, rim and hub."""
    warm = car.wheel_c > car.body_c + 1
    shapes = []
    for axle in car.profile.axles:
        for radius, colour, out, warmer in _WHEEL:
            rim = _disc(axle, 0.33, radius, side * (car.profile.half_width + out))
            celsius = car.wheel_c + (warmer if warm else 0.0)
            shapes.append(Shape(rim, colour, celsius))
    return shapes


@lru_cache(maxsize=256)
def _disc(x: float, y: float, radius: float, left: float) -> Points:
    """Outline (k, 3) of a vertical disc parallel to the car's side; cached, hence read-only."""
    flat = ellipse(radius, radius)
    points = np.full((len(flat), 3), left)
    points[:, :2] = flat
    points[:, 0] += x
    points[:, 1] += y
    points.setflags(write=False)
    return points


def _below(car: Car, frame: _Frame) -> list[Shape]:
    """The treads of the tyres and the dark gap below the body."""
    w, half = car.profile.half_width, car.profile.body[-1][0] - 0.25
    end = half if frame.eye[0] > 0 else -half

    def upright(low: float, high: float, inner: float, outer: float) -> Points:
        corners = ((low, outer), (high, outer), (high, inner), (low, inner))
        return np.array([(end, y, left) for y, left in corners])

    treads = [upright(0.0, 0.4, side * (w - 0.24), side * w) for side in (1, -1)]
    shapes = [Shape(tread, _TYRE, car.wheel_c) for tread in treads]
    gap = upright(0.18, 0.4, w - 0.1, -w + 0.1)
    return [*shapes, Shape(gap, (16, 16, 18), car.wheel_c + 1.0)]


def _bonnet_and_boot(car: Car, frame: _Frame) -> list[Shape]:
    w = car.profile.half_width
    body, cabin = car.profile.body, car.profile.cabin
    bonnet_c = 0.45 * car.engine_c + 0.55 * car.body_c
    shapes = []
    spans = ((cabin[3], body[4], 1.12, bonnet_c), (body[2], cabin[0], 1.08, car.body_c))
    for (x0, y0), (x1, y1), bright, celsius in spans:
        top = [(x0, y0, -w), (x1, y1, -w), (x1, y1, w), (x0, y0, w)]
        shapes.append(Shape(np.array(top), tint(car.paint, bright), celsius))
    # the slopes between bonnet or boot and bumper, to close the gap
    for (x0, y0), (x1, y1), celsius in (
        (body[4], body[5], car.engine_c),
        (body[2], body[1], car.body_c),
    ):
        slope = [(x0, y0, -w), (x1, y1, -w), (x1, y1, w), (x0, y0, w)]
        if frame.sees((x1, y1, 0.0), (np.sign(x1), 0.3, 0.0)):
            shapes.append(Shape(np.array(slope), car.paint, celsius))
    return shapes


def _side(car: Car, side: int) -> list[Shape]:
    w = car.profile.half_width * side
    body = car.profile.body
    flank = [(x, y, w) for x, y in body]
    waist = car.profile.cabin[0][1]
    sill = [
        (body[0][0], 0.3, w),
        (body[0][0], 0.5, w),
        (body[-1][0], 0.5, w),
        (body[-1][0], 0.3, w),
    ]
    x_door = (car.profile.cabin[1][0] + car.profile.cabin[2][0]) / 2
    shapes = [
        Shape(np.array(flank), tint(car.paint, 0.88), car.body_c),
        Shape(np.array(sill), tint(car.paint, 0.62), car.body_c + 0.5),
    ]
    bonnet = [(0.55 * body[-1][0], waist - 0.1, w), (body[4][0], body[4][1], w)]
    bonnet += [(body[-1][0], 0.45, w), (0.55 * body[-1][0], 0.45, w)]
    warm = 0.25 * car.engine_c + 0.75 * car.body_c
    shapes.append(Shape(np.array(bonnet), tint(car.paint, 0.86), warm))
    for axle in car.profile.axles:
        arch = np.maximum(_disc(axle, 0.34, 0.4, w), (-np.inf, 0.28, -np.inf))
        shapes.append(Shape(arch, _TRIM, 0.5 * (car.body_c + car.wheel_c)))
    for x in (x_door, x_door + 0.95):
        line = [(x, 0.42, w), (x + 0.03, 0.42, w), (x + 0.03, waist, w), (x, waist, w)]
        shapes.append(Shape(np.array(line), tint(car.paint, 0.6), car.body_c - 0.5))
    return shapes


def _end(car: Car, *, front: bool) -> tuple[list[Shape], list[Shape]]:
    """The front or the rear: face, bumper, grille or plate, and its two lamps."""
    w = car.profile.half_width
    body = car.profile.body
    (x, top), (x_mid, mid), (x_low, low) = body[4:7] if front else body[2::-1]

    def quad(y0: float, y1: float, z0: float, z1: float) -> Points:
        x0, x1 = np.interp([y0, y1], [low, mid, top], [x_low, x_mid, x])
        return np.array([(x0, y0, z0), (x0, y0, z1), (x1, y1, z1), (x1, y1, z0)])

    hot = car.engine_c if front else car.body_c
    shapes = [
        Shape(quad(mid, top, -w, w), tint(car.paint, 0.97), 0.6 * hot + 0.4 * car.body_c),
        Shape(quad(low, mid, -w, w), tint(car.paint, 0.8), 0.5 * hot + 0.5 * car.body_c),
        Shape(quad(low, low + 0.12, -w, w), _TRIM, 0.5 * hot + 0.5 * car.wheel_c),
    ]
    if front:
        shapes.append(Shape(quad(mid - 0.1, mid + 0.08, -0.55 * w, 0.55 * w), _TRIM, hot))
    shapes.append(Shape(quad(0.46, 0.56, -0.24, 0.24), (205, 205, 195), hot - 2.0))
    if not front and car.wheel_c > car.body_c + 1:  # the exhaust of a running engine
        shapes.append(Shape(quad(low, low + 0.1, 0.35 * w, 0.6 * w), _TYRE, car.engine_c + 3))
    colour = WHITE_LAMP if front else RED_LAMP
    lamps = [
        Shape(quad(mid + 0.02, min(mid + 0.17, top - 0.02), s * 0.6 * w, s * 0.95 * w), colour,
              car.body_c + 3.0)
        for s in (1, -1)
    ]  # fmt: skip
    dark = (206, 212, 216) if front else (150, 22, 22)
    shapes += [Shape(lamp.points, dark, lamp.celsius if front else car.body_c) for lamp in lamps]
    return shapes, lamps


def _cabin(car: Car, frame: _Frame, sides: Sequence[int]) -> list[Shape]:
    (rb, rb_y), (rr, rr_y), (fr, fr_y), (fb, fb_y) = car.profile.cabin
    base, roof = car.profile.half_width * 0.97, car.profile.half_width * 0.8
    glass_light = (86, 100, 112)
    shapes: list[Shape] = []

    def pane(corners: tuple[tuple[float, float, float], ...], inset: float, shade: float) -> None:
        quad, glass, gleam = _glazed(corners, inset)
        shapes.append(Shape(quad, tint(car.paint, shade), car.body_c))
        shapes.append(Shape(glass, _GLASS, car.glass_c))
        shapes.append(Shape(gleam, glass_light, car.glass_c - 1.0))

    if frame.sees((fb, fb_y, 0), (fr_y - fb_y, fb - fr, 0)):
        pane(((fb, fb_y, -base), (fr, fr_y, -roof), (fr, fr_y, roof), (fb, fb_y, base)), 0.1, 1.0)
    if frame.sees((rb, rb_y, 0), (rb_y - rr_y, rr - rb, 0)):
        pane(((rb, rb_y, -base), (rr, rr_y, -roof), (rr, rr_y, roof), (rb, rb_y, base)), 0.14, 1.0)
    for side in sides:
        b, r = side * base, side * roof
        pane(((rb, rb_y, b), (rr, rr_y, r), (fr, fr_y, r), (fb, fb_y, b)), 0.14, 0.92)
        x = (rr + fr) / 2
        post = [(x - 0.05, rb_y, b), (x - 0.05, rr_y, r), (x + 0.05, rr_y, r), (x + 0.05, rb_y, b)]
        shapes.append(Shape(np.array(post), tint(car.paint, 0.85), car.body_c))
    if frame.eye[1] > rr_y:
        lid = [(rr, rr_y, -roof), (fr, fr_y, -roof), (fr, fr_y, roof), (rr, rr_y, roof)]
        shapes.append(Shape(np.array(lid), tint(car.paint, 1.15), car.body_c - 1.0))
    return shapes


@lru_cache(maxsize=64)
def _glazed(
    corners: tuple[tuple[float, float, float], ...], inset: float
) -> tuple[Points, Points, Points]:
    """A pane's frame, its glass, and the reflection of the sky in its upper corner."""
    quad = np.array(corners)
    glass = quad + (quad.mean(axis=0) - quad) * inset
    gleam = [glass[1], glass[2], 0.65 * glass[2] + 0.35 * glass[3]]
    return quad, glass, np.stack([*gleam, 0.75 * glass[1] + 0.25 * glass[0]])
