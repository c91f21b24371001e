"""Light on the street and on actors."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.actors import Actor
from scenes.backdrop import View
from scenes.climate import Moment
from scenes.drawing import SUPERSAMPLING, Camera, three
from scenes.street import Street
from scenes.surfaces import LAMP_FULL, Map, lamp_light, sunlit

_COARSE = 2  # step in image pixels at which headlights are computed
Beam = tuple[tuple[float, float], tuple[float, float]]  # place and heading, x and z


def beams(actors: Sequence[Actor], camera: Camera, moment: Moment) -> list[Beam]:
    """The headlights that are on, those of the camera's car first."""
    if not moment.dark:
        return []
    own: Beam = ((camera.x, camera.z), (0.0, 1.0))
    return [own] + [(actor.place, actor.beams) for actor in actors if actor.beams is not None]


def beam_light(lit_by: Sequence[Beam], x: Map, z: Map) -> Map:
    """Light of the headlights at points near the ground, 0 to about 1."""
    light = np.zeros_like(z)
    for (place_x, place_z), (dx, dz) in lit_by:
        forward = (x - place_x) * dx + (z - place_z) * dz - 2.0
        across = (x - place_x) * dz - (z - place_z) * dx
        ahead = np.maximum(forward, 0)
        spread = np.square(across / (1.1 + 0.16 * ahead))
        light += 0.5 * np.clip(forward / 2.5, 0, 1) * np.exp(-ahead / 13 - spread)
    return np.asarray(light, np.float32)


def street_light(view: View, camera: Camera, moment: Moment, lit_by: Sequence[Beam]) -> Map:
    """Light on each pixel of the empty street, float32 [H, W, 3], a factor of its colour."""
    matrix = np.zeros((3, 5))
    matrix[:, 1] = np.array(moment.sun) / 255
    matrix[:, 2] = np.array(moment.lamps) / LAMP_FULL
    matrix[:, 4] = moment.ambient
    light = np.asarray(cv2.transform(view.light.astype(np.float32), matrix), np.float32)
    if lit_by:
        depth = np.minimum(view.depth[::_COARSE, ::_COARSE], 300.0)
        rows, columns = (np.arange(n) * _COARSE + 0.5 for n in depth.shape)
        x = camera.x + (columns * SUPERSAMPLING - camera.centre_x)[None] / camera.focal * depth
        up = (camera.horizon - rows * SUPERSAMPLING)[:, None] / camera.focal
        y = camera.height + up.astype(np.float32) * depth
        beam = beam_light(lit_by, x.astype(np.float32), depth + np.float32(camera.z))
        beam *= np.exp(-np.maximum(y - 0.7, 0))  # low beams
        wide = cv2.resize(beam, (light.shape[1], light.shape[0]))
        light += three(np.asarray(wide, np.float32))
    light[np.isinf(view.depth)] = 1 / moment.gain  # the sky has its final colour
    return light


def actor_light(
    actors: Sequence[Actor], street: Street, moment: Moment, lit_by: Sequence[Beam]
) -> NDArray[np.float32]:
    """Light on each actor, float32 [n, 3], a factor of its colour."""
    if not actors:
        return np.zeros((0, 3), np.float32)
    place = np.array([actor.place for actor in actors], np.float32)
    x, z = place[:, :1], place[:, 1:]
    light = np.array(moment.ambient) + sunlit(street, x) * np.array(moment.sun)
    if moment.lit > 0:
        # upright surfaces face the lamps less than the road does
        under = lamp_light(street, x, np.ones_like(x), z)
        light += 0.75 * under * np.array(moment.lamps)
    if lit_by:
        # beams begin two metres ahead of a car's middle, so none lights its own car
        light += 0.8 * beam_light(lit_by, x, z)
    return np.asarray(light, np.float32)
