"""Temperatures of air, road, walls and metal by the sun's height."""

from dataclasses import dataclass

import numpy as np

# A hot, clear day from 16:00 on, in kelvin, by the sun's height in degrees. Air is relative to its
# maximum; road and metal, in full sun under a clear sky, are relative to the air. Metal follows the
# sun within minutes and ends below the air, because it radiates to a cold sky. A road stores the
# heat of the day: 20 K over the air in the sun, and 4 K at midnight.
_HEIGHTS = (-30.0, -18.0, -8.0, 0.0, 8.0, 16.0, 25.0, 40.0)
_AIR = (-14.0, -11.0, -8.0, -5.0, -2.8, -1.2, -0.3, 0.0)
_ROAD = (4.0, 5.5, 7.5, 10.0, 13.5, 17.0, 20.5, 24.0)
_METAL = (-3.0, -3.0, -2.5, -1.0, 8.0, 18.0, 25.0, 29.0)


@dataclass(frozen=True, slots=True)
class Heat:
    """Temperatures in kelvin at one height of the sun; see ``climate.Moment``.

    Attributes:
        air_k: Change of the air's temperature since the drive began; 0 or below.
        heavy_k: Temperature of road and walls in full sun over the air's.
        quick_k: Temperature of sheet metal and cloth over the air's.
        under_k: Least temperature of the ground under a running car over the air's, without the
            sun's share.
    """

    air_k: float
    heavy_k: float
    quick_k: float
    under_k: float


def mild_day(height: float, first: float, sunny: float, *, clear: bool, warm: bool) -> Heat:
    """Temperatures on a day that is not hot.

    Args:
        height: Height of the sun, in degrees.
        first: Height of the sun when the drive began, in degrees.
        sunny: From 0 (overcast) to 1 (cloudless).
        clear: Whether there is neither fog nor rain.
        warm: Whether it is over 20 degrees; on cool days the sun is weak.
    """
    dimmed, season = 1.0 if clear else 0.55, 1.0 if warm else 0.6
    heavy = (2.5 + 9.5 * smooth_step(-15, 12, height)) * sunny * season
    quick = sunny * season * 11.0 * smooth_step(2, 22, height)
    quick -= 3.0 * dimmed * (1 - smooth_step(-3, 5, height))
    return Heat(-3.5 * smooth_step(0, 14, first - height), heavy, quick, 0.6 * heavy + 2.5)


def hot_day(height: float, first: float, sunny: float) -> Heat:
    """Temperatures on a hot afternoon and in the night after it; clouds reduce all changes.

    Args:
        height: Height of the sun, in degrees.
        first: Height of the sun when the drive began, in degrees.
        sunny: From 0 (overcast) to 1 (cloudless).
    """
    since, now = np.interp([first, height], _HEIGHTS, _AIR).tolist()
    road, metal = (float(np.interp(height, _HEIGHTS, table)) for table in (_ROAD, _METAL))
    # the car shades the road under it, so only the engine warms it
    return Heat((now - since) * sunny, road * sunny, metal * sunny, 2.5)


def smooth_step(low: float, high: float, value: float) -> float:
    """The smoothstep function: 0 below ``low``, 1 above ``high``."""
    part = min(max((value - low) / (high - low), 0.0), 1.0)
    return part * part * (3 - 2 * part)
