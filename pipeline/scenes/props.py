"""What stands on the pavement: trees and street lamps."""

import numpy as np

from pipeline.scenes.climate import Climate
from pipeline.scenes.drawing import RGB, Shape, ellipse, limb, upright

LAMP_HEIGHT_M = 5.2
LAMP_LIGHT: RGB = (255, 222, 160)


def tree_shapes(x: float, z: float, height: float, seed: int, climate: Climate) -> list[Shape]:
    """A trunk, two boughs and a crown of leaf clumps, dark below and light above."""
    rng = np.random.default_rng(seed)
    bark: RGB = (82, 66, 52)
    bark_c = climate.air_c + 1.5
    fork = np.array([x, 0.42 * height, z])
    girth = 0.022 * height
    shapes = [Shape(limb(np.array([x, 0.0, z]), fork, (girth * 1.3, girth)), bark, bark_c)]
    for lean in (-0.14, 0.16):
        bough = np.array([x + lean * height, 0.66 * height, z])
        shapes.append(Shape(limb(fork, bough, (girth * 0.8, girth * 0.4)), bark, bark_c))
    green = np.array([70.0, 104.0, 48.0]) * rng.uniform(0.8, 1.15)
    green[0] += rng.uniform(-14, 46)
    count = 130
    angle, reach = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
    across, up = reach * np.cos(angle) * 0.27 * height, reach * np.sin(angle) * 0.27 * height
    for i in np.argsort(up + rng.normal(0, 0.06 * height, count)):
        sun = 0.72 + 0.55 * (up[i] / (0.54 * height) + 0.5) + rng.normal(0, 0.12)
        radius = rng.uniform(0.03, 0.06) * height
        outline = ellipse(radius, radius * 0.8, 9) * rng.uniform(0.8, 1.2, (9, 1))
        red, green_, blue = green * sun
        leaf_c = climate.air_c + rng.normal(0, 0.5) + (1.5 * sun - 1.2) * (not climate.night)
        shapes.append(
            Shape(
                upright(outline, x + across[i], 0.7 * height + up[i], z),
                (red, green_, blue),
                leaf_c,
            )
        )
    return shapes


def lamp_shapes(x: float, z: float, climate: Climate) -> tuple[list[Shape], list[Shape]]:
    """A post with an arm over the road: its polygons, and the one that shines."""
    steel: RGB = (96, 100, 104)
    arm = x - np.sign(x) * 1.2
    top = np.array([x, LAMP_HEIGHT_M, z])
    head = upright(ellipse(0.3, 0.1, 10), float(arm), LAMP_HEIGHT_M, z)
    celsius = climate.air_c + 0.5
    shapes = [
        Shape(limb(np.array([x, 0.0, z]), top, (0.09, 0.055)), steel, celsius),
        Shape(limb(top, np.array([arm, LAMP_HEIGHT_M + 0.1, z]), (0.05, 0.04)), steel, celsius),
        Shape(head, (150, 152, 150), celsius + (14.0 if climate.night else 0.0)),
    ]
    return shapes, [Shape(head - (0, 0.04, 0), LAMP_LIGHT, celsius + 14.0)]
