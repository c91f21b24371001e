"""Everybody and everything on a street at one moment, drawn and ready to be put on the canvas."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.scenes.backdrop import Map, night_light, shadow_edge
from pipeline.scenes.cars import car_shapes, footprint
from pipeline.scenes.drawing import Shape, Sprite, draw
from pipeline.scenes.people import person_shapes
from pipeline.scenes.props import lamp_shapes, tree_shapes
from pipeline.scenes.street import CAR, PERSON, Drive, Street, Walker


@dataclass(frozen=True, slots=True, eq=False)
class Beam:
    """The headlights of one car: where they are and where they point, x and z."""

    place: tuple[float, float]
    heading: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """Something drawn.

    Attributes:
        class_id: COCO's, None for what isn't labelled.
        place: World x and z in metres.
        sprite: Its picture.
        lights: Polygons of it that shine.
        ground: The polygon (k, 3) of its shadow on the ground, None without one.
        ground_c: Temperature of that ground in Celsius, None where it isn't warmed.
    """

    class_id: int | None
    place: tuple[float, float]
    sprite: Sprite
    lights: list[Shape]
    ground: NDArray[np.float64] | None = None
    ground_c: float | None = None


def standing(street: Street) -> list[Actor]:
    """What never moves: trees, lamps and parked cars."""
    actors = []
    for x, z, height, seed in street.trees:
        sprite = draw(street.camera, tree_shapes(x, z, height, seed, street.climate))
        actors.append(Actor(None, (x, z), sprite, []))
    for x, z in street.lamps:
        shapes, lights = lamp_shapes(x, z, street.climate)
        lights = lights if street.climate.night else []
        actors.append(Actor(None, (x, z), draw(street.camera, shapes), lights))
    return actors + [_driven(street, d, 0.0) for d in street.drives if d.velocity == 0]


def moving(street: Street, seconds: float) -> list[Actor]:
    """People, and the cars that drive."""
    actors = [_walking(street, walker, seconds) for walker in street.walkers]
    return actors + [_driven(street, d, seconds) for d in street.drives if d.velocity != 0]


def beams(street: Street, seconds: float) -> list[Beam]:
    """The headlights that are on."""
    lit = [drive for drive in street.drives if drive.car.lamps]
    return [Beam(*drive.place(seconds)) for drive in lit]


def beam_light(beams: list[Beam], x: Map, z: Map) -> Map:
    """How much of its colour each point, near the ground, shows in the headlights; 0 to about 1."""
    light = np.zeros_like(z)
    for beam in beams:
        dx, dz = beam.heading
        forward = (x - beam.place[0]) * dx + (z - beam.place[1]) * dz - 2.0
        across = (x - beam.place[0]) * dz - (z - beam.place[1]) * dx
        spread = np.square(across / (1.1 + 0.16 * np.maximum(forward, 0)))
        reach = np.clip(forward / 1.5, 0, 1) * np.exp(-np.maximum(forward, 0) / 11)
        light += np.float32(0.7) * reach * np.exp(-spread)
    return light.astype(np.float32)


def light_at(street: Street, lit_by: list[Beam], place: tuple[float, float]) -> float:
    """How much of its colour somebody at a place shows."""
    x, z = (np.full((1, 1), value, np.float32) for value in place)
    if not street.climate.night:
        return 0.72 if place[0] * street.sun < shadow_edge(street) else 1.05
    ground = night_light(street, x, np.ones_like(x), z, np.zeros((1, 1), bool))
    # Clothes and paint stand upright and face the lamps less than the road does.
    return float(0.75 * ground[0, 0] + 0.8 * beam_light(lit_by, x, z)[0, 0])


def _walking(street: Street, walker: Walker, seconds: float) -> Actor:
    place, heading = walker.place(seconds, street.road + 0.4)
    walked = walker.velocity * seconds
    shapes = person_shapes(walker.person, place, heading, abs(walked))
    turn = np.arange(12) * (np.pi / 6)
    shadow = np.stack(
        [place[0] + 0.32 * np.cos(turn) + 0.1 * street.sun, np.zeros(12),
         place[1] + 0.26 * np.sin(turn)], axis=1,
    )  # fmt: skip
    return Actor(PERSON, place, draw(street.camera, shapes), [], shadow)


def _driven(street: Street, drive: Drive, seconds: float) -> Actor:
    place, heading = drive.place(seconds)
    shapes, lights = car_shapes(drive.car, place, heading, street.camera)
    under = footprint(drive.car, place, heading, street.camera)
    running = drive.velocity != 0
    warm = street.climate.road_c + 2.0 if running else None
    return Actor(CAR, place, draw(street.camera, shapes), lights, under, warm)
