"""Who is on a street: lots drawn for the looks and the warmth of people and cars."""

import numpy as np

from pipeline.scenes.cars import PROFILES, Car
from pipeline.scenes.climate import Climate
from pipeline.scenes.drawing import RGB
from pipeline.scenes.people import Person

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


def draw_person(rng: np.random.Generator, climate: Climate) -> Person:
    """Draw somebody, dressed for the weather."""
    # Clothes' outside lies between the air and the skin; nearer the skin where they are thin.
    thin = rng.uniform(0.42, 0.7) + (0.15 if climate.hot else 0.0)
    coat = not climate.hot and rng.random() < 0.25
    body = 33.0 - climate.air_c
    height = rng.uniform(1.15, 1.45) if rng.random() < 0.12 else rng.normal(1.71, 0.08)
    return Person(
        height=float(height),
        girth=float(rng.uniform(0.92, 1.18)),
        skin=_choose(rng, _SKINS),
        hair=_choose(rng, _HAIRS),
        top=_choose(rng, _TOPS),
        legs=_choose(rng, _LEGS),
        shoes=_choose(rng, _HAIRS),
        top_c=float(climate.air_c + body * (thin - 0.12 * coat)),
        legs_c=float(climate.air_c + body * (thin - rng.uniform(0.0, 0.12))),
        coat=bool(coat),
        pack=_choose(rng, _TOPS) if rng.random() < 0.3 else None,
        phase=float(rng.uniform(0, 2 * np.pi)),
    )


def draw_car(rng: np.random.Generator, climate: Climate, *, running: bool) -> Car:
    """Draw a car, warm from running or parked for long."""
    profile = PROFILES[int(rng.choice(len(PROFILES), p=(0.35, 0.3, 0.2, 0.15)))]
    paint = _choose(rng, _PAINTS)
    if running:
        body = climate.air_c + float(rng.uniform(0, 5))
        glass = climate.air_c - float(rng.uniform(1, 5))
        engine, wheel = body + float(rng.uniform(5, 16)), body + float(rng.uniform(4, 12))
        return Car(profile, paint, body, glass, engine, wheel, lamps=climate.night)
    # A car that has stood for hours takes the temperature of the street: hard to see in infrared.
    blended = rng.random() < 0.6
    spread = 0.7 if blended else 4.0
    body = climate.road_c - 0.5 + float(rng.uniform(-spread, spread))
    glass = body - (0.8 if blended else float(rng.uniform(1.5, 5)))
    warm = not blended and rng.random() < 0.4
    engine = body + (float(rng.uniform(3, 8)) if warm else 0.0)
    return Car(profile, paint, body, glass, engine, body, lamps=False)
