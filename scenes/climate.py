"""Time of day and weather: light and temperatures of a street as a function of time."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scenes.drawing import RGB
from scenes.heat import Heat, hot_day, mild_day, smooth_step

Time = Literal["day", "dusk", "night", "dusk_to_night", "afternoon", "afternoon_to_night"]
Weather = Literal["clear", "fog", "rain"]
Traffic = Literal["sparse", "normal", "dense"]

_SUMMER: tuple[Time, ...] = ("afternoon", "afternoon_to_night")
_LAMP_RGB: RGB = (1.0, 0.86, 0.62)
# Colours of the sky in the picture, 0 to 255, by the sun's height in degrees.
_HEIGHTS = (-14.0, -7.0, -2.0, 4.0, 16.0)
_ZENITH = ((5, 7, 13), (17, 24, 46), (58, 78, 118), (104, 134, 180), (112, 158, 214))
_HORIZON = ((11, 12, 18), (40, 38, 50), (186, 138, 112), (226, 190, 158), (202, 218, 232))
_CLOUD = ((9, 10, 15), (30, 30, 42), (112, 96, 102), (188, 168, 160), (214, 217, 222))


@dataclass(frozen=True, slots=True)
class Conditions:
    """The settings of a drive.

    Attributes:
        time: Time of day; ``dusk_to_night`` begins before sunset and ends in the dark. An
            ``afternoon`` is hot, after hours of sun; ``afternoon_to_night`` continues into the
            night.
        weather: Weather; there is no sun in fog and rain.
        traffic: Amount of cars and people.
        span_s: Seconds until night in ``dusk_to_night`` and ``afternoon_to_night``.
    """

    time: Time = "day"
    weather: Weather = "clear"
    traffic: Traffic = "normal"
    span_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Light and temperatures at one time; light is a factor of a surface's colour.

    Attributes:
        height: Height of the sun over the horizon, in degrees.
        sun: Light of the sun on a surface that faces it, red, green, blue.
        ambient: Light of the sky, red, green, blue.
        lamps: Light under a street lamp, red, green, blue; 0 if they are off.
        lit: Brightness of lamps and windows, 0 (off) to 1.
        gain: Gain of the visible camera, which follows the daylight.
        zenith, horizon, cloud: Colours of the sky, 0 to 255 in the picture.
        air_c: Temperature of the air in Celsius.
        sky_k: Apparent temperature of the sky over the air's, in kelvin; below 0.
        heavy_k: Temperature of road and walls in full sun over the air's, in kelvin.
        quick_k: The same for sheet metal and cloth, which follow the sun at once; below 0 at
            night, when they radiate to the sky.
        under_k: Least temperature of the ground under a running car over the air's, in kelvin,
            without the sun's share.
    """

    height: float
    sun: RGB
    ambient: RGB
    lamps: RGB
    lit: float
    gain: float
    zenith: RGB
    horizon: RGB
    cloud: RGB
    air_c: float
    sky_k: float
    heavy_k: float
    quick_k: float
    under_k: float

    @property
    def dark(self) -> bool:
        """Whether the lamps of cars are on."""
        return self.lit > 0.3


@dataclass(frozen=True, slots=True)
class Climate:
    """Season and weather of a clip.

    Attributes:
        conditions: The settings.
        first, last: Height of the sun at the start and at the end of the span, in degrees.
        hot: Whether sun-heated walls and road are nearly as warm as people.
        air_c: Temperature of the air at the start, in Celsius.
        sunny: From 0 (overcast) to 1 (cloudless).
        fog: Extinction of visible light per metre.
        fog_ir: Extinction of long-wave infrared per metre.
    """

    conditions: Conditions
    first: float
    last: float
    hot: bool
    air_c: float
    sunny: float
    fog: float
    fog_ir: float

    @property
    def wet(self) -> bool:
        """Whether it rains."""
        return self.conditions.weather == "rain"

    @property
    def summer(self) -> bool:
        """Whether the drive is in a hot afternoon or the night after it."""
        return self.conditions.time in _SUMMER

    def sunlit(self, share: float) -> float:
        """Share of the sun's warmth for a person or car at this share of its light.

        Only in summer does the shade make a difference.
        """
        return share if self.summer else 1.0

    def at(self, seconds: float) -> Moment:
        """Light and temperatures at a time."""
        part = min(max(seconds / self.conditions.span_s, 0.0), 1.0)
        height = self.first + (self.last - self.first) * part
        clear = self.conditions.weather == "clear"
        sky = 0.6 * smooth_step(-9, 14, height) * (1.0 if clear else 0.85)
        direct = 0.5 * smooth_step(0, 14, height) * self.sunny
        lit = 1 - smooth_step(-4.5, 0.5, height)
        # the gain reaches daylight brightness in the day but is limited at night
        gain = min(1.0 / (0.12 + sky + 0.55 * direct), 1.75)
        low = 1 - smooth_step(2, 16, height)
        blue = 1 - smooth_step(-3, 6, height)
        heat = self._heat(height)
        return Moment(
            height,
            sun=(direct, direct * (1 - 0.16 * low), direct * (1 - 0.42 * low)),
            ambient=(sky * (1 - 0.2 * blue) + 0.028, sky * (1 - 0.1 * blue) + 0.028,
                     sky * (1 + 0.08 * blue) + 0.031),
            lamps=_scaled(_LAMP_RGB, 0.55 * lit),
            lit=lit,
            gain=gain,
            zenith=self._sky(_ZENITH, height),
            horizon=self._sky(_HORIZON, height),
            cloud=self._sky(_CLOUD, height),
            air_c=self.air_c + heat.air_k,
            sky_k=-8.0 if self.wet else -3.0 if not clear else -30.0 + 9.0 * (1 - self.sunny),
            heavy_k=heat.heavy_k,
            quick_k=heat.quick_k,
            under_k=heat.under_k,
        )  # fmt: skip

    def _heat(self, height: float) -> Heat:
        """The temperatures that follow the sun."""
        clear = self.conditions.weather == "clear"
        if self.summer:
            return hot_day(height, self.first, self.sunny)
        return mild_day(height, self.first, self.sunny, clear=clear, warm=self.air_c > 20)

    def _sky(self, table: tuple[RGB, ...], height: float) -> RGB:
        """A colour of the sky at a height of the sun; nearly grey in fog and rain."""
        colour = [float(np.interp(height, _HEIGHTS, part)) for part in zip(*table, strict=True)]
        grey = 0.3 * colour[0] + 0.6 * colour[1] + 0.1 * colour[2]
        dull = 0.0 if self.conditions.weather == "clear" else 0.85
        red, green, blue = (0.97 * dull * grey + (1 - dull) * part for part in colour)
        return red, green, blue


def draw_climate(rng: np.random.Generator, conditions: Conditions) -> Climate:
    """Draw a random climate.

    Half the days are hot (27 to 31.5 degrees) and clear dusks are mild (22 to 27), so that people
    have little contrast. Clear afternoons have 30 to 36 degrees and few clouds.
    """
    first, last = _heights(rng, conditions.time)
    clear = conditions.weather == "clear"
    warm = rng.random() < 0.5
    summer = conditions.time in _SUMMER
    hot = clear and (summer or (conditions.time == "day" and warm))
    air = float(rng.uniform(2, 17))
    if summer:
        # a summer afternoon without sun is mild
        air = float(rng.uniform(30, 36) if clear else rng.uniform(18, 24))
    elif hot:
        air = float(rng.uniform(27, 31.5))
    elif conditions.time in ("dusk", "dusk_to_night") and clear:
        air = float(rng.uniform(22, 27))  # road and walls cool from over 33 degrees
    sunny = float(rng.uniform(0.8 if summer else 0.55, 1.0)) if clear else 0.12
    sunny *= 0.8 if hot and not summer else 1.0  # hot days are hazy
    sight = {"clear": (700.0, 1100.0), "fog": (38.0, 75.0), "rain": (170.0, 300.0)}
    fog = 3.0 / float(rng.uniform(*sight[conditions.weather]))
    # fog attenuates long-wave infrared less than visible light; rain attenuates both
    share = {"clear": 0.3, "fog": 0.22, "rain": 0.6}[conditions.weather]
    return Climate(conditions, first, last, hot, air, sunny, fog, share * fog)


def _heights(rng: np.random.Generator, time: Time) -> tuple[float, float]:
    if time == "dusk_to_night":
        return 2.0, -13.0
    if time == "afternoon_to_night":
        return 30.0, -30.0  # about 16:00 to 23:00 at the 40th parallel in summer
    low, high = {
        "day": (18.0, 50.0), "dusk": (-3.0, 0.5), "night": (-30.0, -14.0), "afternoon": (15.0, 40.0)
    }[time]  # fmt: skip
    height = float(rng.uniform(low, high))
    return height, height


def _scaled(colour: RGB, factor: float) -> RGB:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor
