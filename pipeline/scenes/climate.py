"""The light and the warmth of a clip."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Climate:
    """Light and warmth of a clip; temperatures in Celsius.

    Attributes:
        night: Whether it is dark.
        hot: Whether sun-heated walls and road come near the temperature of people.
        air_c: Of the air.
        road_c: Of the road.
        wall_c: Of the walls, on average.
        sky_c: Apparent, of the sky.
    """

    night: bool
    hot: bool
    air_c: float
    road_c: float
    wall_c: float
    sky_c: float


def draw_climate(rng: np.random.Generator, *, night: bool) -> Climate:
    """Draw a climate: night, a cool day, or one so hot that people hardly differ from walls."""
    hot = not night and rng.random() < 0.5
    air = float(rng.uniform(28, 33) if hot else rng.uniform(2, 17))
    if night:
        road, wall = air + rng.uniform(1, 4), air + rng.uniform(0, 4)
    else:
        road, wall = air + rng.uniform(2, 7), air + rng.uniform(1, 5)
    return Climate(night, hot, air, float(road), float(wall), air - float(rng.uniform(20, 32)))
