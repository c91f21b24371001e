"""How the sun warms air, road, walls and metal, by its height; light is ``climate``'s."""

from dataclasses import dataclass

import numpy as np

# A hot, clear day from four in the afternoon on, by the sun's height in degrees, in kelvin. Air is
# against its warmest; road and metal are against the air, as one in full sun under a clear sky has
# it. Metal follows the sun within minutes and ends below the air, for it radiates to a cold sky.
# A road stores a day's heat: 20 K over the air in the sun, and 4 K over it at midnight.
_HEIGHTS = (-30.0, -18.0, -8.0, 0.0, 8.0, 16.0, 25.0, 40.0)
_AIR = (-14.0, -11.0, -8.0, -5.0, -2.8, -1.2, -0.3, 0.0)
_ROAD = (4.0, 5.5, 7.5, 10.0, 13.5, 17.0, 20.5, 24.0)
_METAL = (-3.0, -3.0, -2.5, -1.0, 8.0, 18.0, 25.0, 29.0)


@dataclass(frozen=True, slots=True)
class Heat:
    """Warmth at one height of the sun; see ``climate.Moment``.

    Attributes:
        air_k: By how much the air has cooled since the drive began; 0 or below.
        heavy_k: Of road and walls, where the sun reaches them fully, over the air.
        quick_k: Of sheet metal and cloth over the air.
        under_k: Least warmth of the ground under a running car, before the sun's.
    """

    air_k: float
    heavy_k: float
    quick_k: float
    under_k: float


def mild_day(height: float, first: float, sunny: float, *, clear: bool, warm: bool) -> Heat:
    """A day of no particular heat.

    Args:
        height: Of the sun, in degrees.
        first: The same when the drive began.
        sunny: 0 overcast to 1 cloudless.
        clear: Whether there is neither fog nor rain.
        warm: Whether it is over 20 degrees; the sun of cool days is weak.
    """
    dimmed, season = 1.0 if clear else 0.55, 1.0 if warm else 0.6
    heavy = (2.5 + 9.5 * smooth_step(-15, 12, height)) * sunny * season
    quick = sunny * season * 11.0 * smooth_step(2, 22, height)
    quick -= 3.0 * dimmed * (1 - smooth_step(-3, 5, height))
    return Heat(-3.5 * smooth_step(0, 14, first - height), heavy, quick, 0.6 * heavy + 2.5)


def hot_day(height: float, first: float, sunny: float) -> Heat:
    """A hot afternoon and the night after it; clouds weaken the sun and keep the night warm.

    Args:
        height: Of the sun, in degrees.
        first: The same when the drive began.
        sunny: 0 overcast to 1 cloudless.
    """
    since, now = np.interp([first, height], _HEIGHTS, _AIR).tolist()
    road, metal = (float(np.interp(height, _HEIGHTS, table)) for table in (_ROAD, _METAL))
    # The car shades the road under it: what the engine adds is all there is.
    return Heat((now - since) * sunny, road * sunny, metal * sunny, 2.5)


def smooth_step(low: float, high: float, value: float) -> float:
    """0 below ``low`` to 1 above ``high``, smoothly."""
    part = min(max((value - low) / (high - low), 0.0), 1.0)
    return part * part * (3 - 2 * part)
