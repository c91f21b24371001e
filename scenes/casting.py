"""Random appearance and temperatures of people and cars."""

from dataclasses import dataclass, replace

import numpy as np

from scenes.car_profiles import PROFILES
from scenes.cars import Car
from scenes.climate import Climate, Moment
from scenes.drawing import RGB
from scenes.people import SKIN_C, Person

_SKINS: tuple[RGB, ...] = ((224, 178, 150), (198, 146, 112), (141, 96, 68), (92, 62, 46))
_HAIRS: tuple[RGB, ...] = ((30, 24, 20), (66, 44, 28), (140, 104, 60), (120, 118, 116))
_TOPS: tuple[RGB, ...] = (
    (176, 40, 44), (36, 62, 120), (60, 62, 66), (214, 210, 200), (70, 98, 62), (196, 150, 60),
    (34, 34, 40), (120, 70, 120), (92, 142, 176), (150, 110, 82),
)  # fmt: skip
_LEGS: tuple[RGB, ...] = ((44, 54, 84), (34, 34, 38), (128, 112, 88), (78, 80, 86), (60, 48, 42))
_PAINTS: tuple[RGB, ...] = (
    (206, 208, 210), (34, 36, 40), (150, 154, 158), (160, 30, 34), (40, 66, 128), (90, 94, 98),
    (206, 176, 74), (46, 88, 74), (124, 96, 74),
)  # fmt: skip


def _choose(rng: np.random.Generator, colours: tuple[RGB, ...]) -> RGB:
    red, green, blue = colours[int(rng.integers(len(colours)))]
    shade = float(rng.uniform(0.8, 1.15))
    return red * shade, green * shade, blue * shade


@dataclass(frozen=True, slots=True)
class Outfit:
    """A person, and the temperature of the clothes' surface between that of air and skin.

    Attributes:
        person: The person; its temperatures are not set.
        top, legs: Temperature of top and trousers, from 0 (air) to 1 (skin).
    """

    person: Person
    top: float
    legs: float

    def at(self, moment: Moment, sunlit: float = 1.0) -> Person:
        """The person with the temperatures of a moment, at this share of the sun's warmth."""
        # sweating cools skin, but it still warms in air that is as warm
        skin = SKIN_C + 0.5 * max(moment.air_c - (SKIN_C - 1), 0.0)
        body = max(SKIN_C - moment.air_c, 1.0)
        # the sun warms cloth like metal, but the body keeps it from cooling below the air
        sun = 0.25 * max(moment.quick_k, 0.0) * sunlit
        return replace(
            self.person,
            skin_c=skin,
            top_c=moment.air_c + body * self.top + sun,
            legs_c=moment.air_c + body * self.legs + sun,
        )


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A car and the parameters of its temperatures.

    Attributes:
        car: The car; its temperatures are not set.
        running: Whether its engine runs.
        rests: How far a parked car has reached the street's temperature, 0 to 1.
        engine, wheel: Temperatures of the grille and the wheels over the body's, in kelvin.
        glass: Temperature of the windows below the body's, in kelvin.
        bias: Offset of the body's temperature, in kelvin.
    """

    car: Car
    running: bool
    rests: float
    engine: float
    wheel: float
    glass: float
    bias: float

    def at(self, moment: Moment, sunlit: float = 1.0) -> Car:
        """The car with the temperatures of a moment, at this share of the sun's warmth.

        The lamps of parked cars are off.
        """
        warm = max(moment.quick_k, 0.0) * sunlit + min(moment.quick_k, 0.0)
        metal = warm * (0.5 if self.running else 0.8)
        body = moment.air_c + self.bias + self.rests * 0.6 * moment.heavy_k
        body += (1 - self.rests) * metal
        return replace(
            self.car,
            body_c=body,
            glass_c=body - self.glass,
            engine_c=body + self.engine,
            wheel_c=body + self.wheel,
            lamps=self.running and moment.dark,
        )


def draw_outfit(rng: np.random.Generator, climate: Climate) -> Outfit:
    """Draw a random person, dressed for the weather."""
    # the surface of thin clothes is closer to skin temperature
    thin = float(rng.uniform(0.42, 0.7)) + (0.15 if climate.air_c > 20 else 0.0)
    thin *= 0.7 if climate.wet else 1.0
    coat = climate.air_c < 20 and rng.random() < 0.25
    height = rng.uniform(1.15, 1.45) if rng.random() < 0.12 else rng.normal(1.71, 0.08)
    person = Person(
        height=float(height),
        girth=float(rng.uniform(0.92, 1.18)),
        skin=_choose(rng, _SKINS),
        hair=_choose(rng, _HAIRS),
        top=_choose(rng, _TOPS),
        legs=_choose(rng, _LEGS),
        shoes=_choose(rng, _HAIRS),
        skin_c=0.0,
        top_c=0.0,
        legs_c=0.0,
        coat=bool(coat),
        pack=_choose(rng, _TOPS) if rng.random() < 0.3 else None,
        phase=float(rng.uniform(0, 2 * np.pi)),
    )
    return Outfit(person, thin - 0.12 * coat, thin - float(rng.uniform(0.0, 0.12)))


def draw_vehicle(rng: np.random.Generator, climate: Climate, *, running: bool) -> Vehicle:
    """Draw a random car, with a running engine or parked."""
    profile = PROFILES[int(rng.choice(len(PROFILES), p=(0.35, 0.3, 0.2, 0.15)))]
    car = Car(profile, _choose(rng, _PAINTS), 0.0, 0.0, 0.0, 0.0, lamps=False)
    dry = 0.5 if climate.wet else 1.0
    if running:
        engine, wheel = dry * float(rng.uniform(6, 17)), dry * float(rng.uniform(4, 13))
        bias, glass = float(rng.uniform(0, 3)), float(rng.uniform(2, 7))
        return Vehicle(car, True, 0.0, engine, wheel, dry * glass, bias)
    # after hours, a parked car has the street's temperature and is hard to see in infrared
    rests = float(rng.uniform(0.75, 1.0) if rng.random() < 0.5 else rng.uniform(0.0, 0.5))
    cooling = float(rng.uniform(3, 8)) if rng.random() < 0.2 else 0.0
    glass, bias = dry * float(rng.uniform(0.8, 5)), float(rng.uniform(-0.7, 0.7))
    return Vehicle(car, False, rests, cooling, 0.0, glass, bias)
