"""All objects on a street at one time, drawn as sprites for the canvas."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scenes.backdrop import FAR_M
from scenes.cars import Car, car_shapes, footprint
from scenes.casting import Vehicle
from scenes.climate import Moment
from scenes.drawing import Camera, Shape, Sprite, draw
from scenes.people import Person, person_shapes
from scenes.props import Picture, draw_tree, lamp_shapes, place
from scenes.street import STRETCH_M, TREE_KINDS, Street
from scenes.traffic import CAR, PERSON, Pose

_PEOPLE_M = 68.0  # people beyond this are not drawn: they are smaller than any label
_CARS_M = 85.0
_NEAREST_M = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """A drawn object.

    Attributes:
        class_id: COCO class id, None for unlabelled objects.
        track: Track id of the person or car; 0 for unlabelled objects.
        place: World x and z in metres.
        speed: Speed along z in m/s.
        sprite: The drawn object.
        lights: Its polygons that emit light.
        ground: Polygon (k, 3) of its shadow on the ground, None without one.
        ground_k: Least temperature of that ground over the air, in kelvin; None if not warmed.
        beams: x and z of the heading of its headlights, None if they are off.
    """

    class_id: int | None
    track: int
    place: tuple[float, float]
    speed: float
    sprite: Sprite
    lights: list[Shape]
    ground: NDArray[np.float64] | None = None
    ground_k: float | None = None
    beams: tuple[float, float] | None = None


class Props:
    """The trees and lamps of a street."""

    def __init__(self, street: Street) -> None:
        self._street = street
        self._tree = lru_cache(maxsize=TREE_KINDS)(self._draw_tree)

    def actors(self, camera: Camera, moment: Moment) -> Iterator[Actor]:
        """The trees and lamps that may be in view."""
        first = int((camera.z + _NEAREST_M) // STRETCH_M)
        for number in range(first, first + 4):
            for tree in self._street.stretch(number).trees:
                if _NEAREST_M < tree.z - camera.z < FAR_M:
                    picture = self._tree(tree.kind)
                    sprite = place(picture, camera, tree.x, tree.z, tree.height)
                    if sprite is not None:
                        yield Actor(None, 0, (tree.x, tree.z), 0.0, sprite, [])
        for x, z in self._street.lamps(camera.z + 1.5, camera.z + FAR_M):
            shapes, lights = lamp_shapes(x, z, moment.lit)
            if _in_view(camera, x, z, 1.4):
                yield Actor(None, 0, (x, z), 0.0, draw(camera, shapes), lights)

    def _draw_tree(self, kind: int) -> Picture:
        return draw_tree(np.random.default_rng([*self._street.seed, 9, kind]))


def draw_pose(pose: Pose, camera: Camera, moment: Moment, sun: int, sunlit: float) -> Actor | None:
    """Draw a person or car; None if it is out of view.

    Args:
        pose: The person or car and its position.
        camera: The camera.
        moment: Temperatures, and whether lamps are on.
        sun: Side of the sun, -1 or 1; shadows fall to the other.
        sunlit: Share of the sun's warmth at the place, 0 to 1.
    """
    away = pose.place[1] - camera.z
    if isinstance(pose.figure, Vehicle):
        if not -1.5 < away < _CARS_M or not _in_view(camera, *pose.place, 2.9):
            return None
        car = pose.figure.at(moment, sunlit)
        return _driven(pose, car, camera, moment, running=pose.figure.running)
    if not _NEAREST_M < away < _PEOPLE_M or not _in_view(camera, *pose.place, 0.8):
        return None
    return _walking(pose, pose.figure.at(moment, sunlit), camera, moment, sun)


def _in_view(camera: Camera, x: float, z: float, radius: float) -> bool:
    """Whether an object of this radius may be on the canvas."""
    depth = max(z + radius - camera.z, 0.5)
    middle, half = camera.focal * (x - camera.x), camera.focal * radius
    left, right = -camera.centre_x * depth, (camera.canvas[1] - camera.centre_x) * depth
    return middle + half > left and middle - half < right


def _walking(pose: Pose, person: Person, camera: Camera, moment: Moment, sun: int) -> Actor:
    x, z = pose.place
    shapes = person_shapes(person, pose.place, pose.heading, pose.walked)
    turn = np.arange(12) * (np.pi / 6)
    shadow = np.stack(
        [x + 0.32 * np.cos(turn) - 0.1 * sun, np.zeros(12), z + 0.26 * np.sin(turn)], axis=1
    )
    sprite = draw(camera, shapes, moment.air_c)
    return Actor(PERSON, pose.track, pose.place, pose.speed, sprite, [], shadow)


def _driven(pose: Pose, car: Car, camera: Camera, moment: Moment, *, running: bool) -> Actor:
    shapes, lights = car_shapes(car, pose.place, pose.heading, camera)
    under = footprint(car, pose.place, pose.heading, camera)
    warm = moment.under_k if running else None
    sprite = draw(camera, shapes, moment.air_c)
    beams = pose.heading if car.lamps else None
    return Actor(CAR, pose.track, pose.place, pose.speed, sprite, lights, under, warm, beams)
