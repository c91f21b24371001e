"""Trees and street lamps; temperatures are over the air's."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scenes.drawing import RGB, Camera, Rod, Shape, Sprite, draw, draw_limbs, ellipse, upright

LAMP_HEIGHT_M = 5.2
LAMP_LIGHT: RGB = (255, 222, 160)
_DRAWN_M, _DENSITY = 7.0, 64.0  # height of the trees as drawn, pixels per metre


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A flat object, drawn once and stored in halving resolutions.

    Attributes:
        planes: uint8 [h, w, 4] per resolution, coloured outside the silhouette too, so that
            interpolation does not darken edges.
        cover: uint8 [h, w] per resolution, 255 inside the silhouette.
        foot: Column and row of its foot, in the first resolution.
    """

    planes: tuple[NDArray[np.uint8], ...]
    cover: tuple[NDArray[np.uint8], ...]
    foot: tuple[float, float]


def draw_tree(rng: np.random.Generator) -> Picture:
    """Draw a random tree of seven metres."""
    side = int(_DRAWN_M * _DENSITY * 1.15)
    camera = Camera((side, side), _DENSITY, side / 2, side - 4.0, 0.0, 0.0, z=-1.0)
    sprite = draw(camera, tree_shapes(_DRAWN_M, rng))
    cover = 255 * sprite.silhouette.view(np.uint8)
    filled = np.empty_like(sprite.planes)
    filled[:] = np.array(cv2.sumElems(sprite.planes)) / np.count_nonzero(cover)
    cv2.copyTo(sprite.planes, cover, filled)
    planes, covers = [filled], [cover]
    for _ in range(4):
        size = (planes[-1].shape[1] // 2, planes[-1].shape[0] // 2)
        planes.append(
            np.asarray(cv2.resize(planes[-1], size, interpolation=cv2.INTER_AREA), np.uint8)
        )
        covers.append(
            np.asarray(cv2.resize(covers[-1], size, interpolation=cv2.INTER_AREA), np.uint8)
        )
    foot = (side / 2 - sprite.left, side - 4.0 - sprite.top)
    return Picture(tuple(planes), tuple(covers), foot)


def place(picture: Picture, camera: Camera, x: float, z: float, height: float) -> Sprite | None:
    """Draw the part on the canvas of a tree at x and z; None if it is out of view."""
    per_metre = camera.focal / (z - camera.z)
    scale = per_metre * height / _DRAWN_M / _DENSITY
    level = min(max(math.floor(-np.log2(scale)), 0), len(picture.planes) - 1)
    left = camera.centre_x + per_metre * (x - camera.x) - scale * picture.foot[0]
    top = camera.horizon + per_metre * camera.height - scale * picture.foot[1]
    rows, columns = picture.cover[0].shape
    x0, x1 = (min(max(round(x), 0), camera.canvas[1]) for x in (left, left + scale * columns))
    y0, y1 = (min(max(round(y), 0), camera.canvas[0]) for y in (top, top + scale * rows))
    if x1 <= x0 or y1 <= y0:
        return None
    by = scale * 2**level
    matrix = np.array([[by, 0, left - x0 + by / 2 - 0.5], [0, by, top - y0 + by / 2 - 0.5]])
    size = (x1 - x0, y1 - y0)
    planes = cv2.warpAffine(picture.planes[level], matrix, size, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(picture.cover[level], matrix, size)
    inside = np.zeros((y1 - y0, x1 - x0, 4), np.uint8)
    cv2.copyTo(planes, (cover > 127).view(np.uint8), inside)
    return Sprite(x0, y0, inside)


def tree_shapes(height: float, rng: np.random.Generator) -> list[Shape]:
    """A trunk, two boughs and a crown of leaf clumps, dark below and light above."""
    bark: RGB = (82, 66, 52)
    bark_k = 1.5
    fork = (0.0, 0.42 * height, 0.0)
    girth = 0.022 * height
    rods: list[Rod] = [((0.0, 0.0, 0.0), fork, (girth * 1.3, girth))]
    for lean in (-0.14, 0.16):
        bough = (lean * height, 0.66 * height, 0.0)
        rods.append((fork, bough, (girth * 0.8, girth * 0.4)))
    shapes = [Shape(outline, bark, bark_k) for outline in draw_limbs(rods)]
    green = np.array([70.0, 104.0, 48.0]) * rng.uniform(0.8, 1.15)
    green[0] += rng.uniform(-14, 46)
    count = 260
    angle, reach = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
    reach *= rng.uniform(0.8, 1.1, count)
    across, up = reach * np.cos(angle) * 0.27 * height, reach * np.sin(angle) * 0.27 * height
    order = np.argsort(up + rng.normal(0, 0.06 * height, count))
    across, up = across[order], up[order]
    sun, radius, kelvin = np.empty((3, count))
    lumps = np.empty((count, 9, 1))
    for i in range(count):
        sun[i], radius[i] = rng.normal(0, 0.12), rng.uniform(0.02, 0.045)
        lumps[i], kelvin[i] = rng.uniform(0.7, 1.3, (9, 1)), rng.normal(0, 0.5)
    sun = 0.72 + 0.55 * (up / (0.54 * height) + 0.5) + sun
    kelvin = kelvin + 0.4 * sun - 0.4
    radius *= height
    radii = np.stack([radius, radius * 0.8], axis=1)[:, None]  # [count, 1, 2]
    leaves = np.zeros((count, 9, 3))
    leaves[:, :, :2] = radii * ellipse(1.0, 1.0, 9) * lumps
    leaves[:, :, :2] += np.stack([across, 0.7 * height + up], axis=1)[:, None]
    colours = (green * sun[:, None]).tolist()
    shapes += map(Shape, leaves, colours, kelvin.tolist())
    return shapes


def lamp_shapes(x: float, z: float, lit: float) -> tuple[list[Shape], list[Shape]]:
    """The polygons of a street lamp, and those that emit light; ``lit`` is from 0 to 1."""
    steel: RGB = (96, 100, 104)
    arm = x - np.sign(x) * 1.2
    top = (x, LAMP_HEIGHT_M, z)
    head = upright(ellipse(0.3, 0.1, 10), float(arm), LAMP_HEIGHT_M, z)
    post, beam = draw_limbs(
        [
            ((x, 0.0, z), top, (0.09, 0.055)),
            (top, (arm, LAMP_HEIGHT_M + 0.1, z), (0.05, 0.04)),
        ]
    )
    shapes = [
        Shape(post, steel, 0.5),
        Shape(beam, steel, 0.5),
        Shape(head, (150, 152, 150), 0.5 + 14.0 * lit),
    ]
    red, green, blue = (lit * c for c in LAMP_LIGHT)
    return shapes, [Shape(head - (0, 0.04, 0), (red, green, blue))] if lit > 0 else []
