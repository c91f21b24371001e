"""Generated streets to train on: which seeds they have, and what times and weathers they show."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial

from scenes.climate import Conditions, Time, Weather
from scenes.render import Clip, Scene

# Runs use seeds below both.
VALIDATION_SEED = 50_000  # of the first street that trained weights are judged on
FIRST_SEED = 100_000  # of the first street to train on
SIZE = (256, 320)  # height, width, pixels

_TIMES: tuple[Time, ...] = (
    "day", "night", "dusk", "dusk_to_night", "afternoon", "afternoon_to_night"
)  # fmt: skip
_WEATHERS: tuple[Weather, ...] = ("clear", "clear", "clear", "clear", "fog", "rain")
FEW = 8  # streets are drawn before other processes have started
_RATE, _FRAMES_APART = Fraction(10), 21  # 2.1 s later everybody has moved on


def conditions(seed: int, frames: int = 4) -> Conditions:
    """Six times of day take turns; of six streets of a time four are clear, one each fog and rain.

    Args:
        seed: Of the street.
        frames: So many moments are shown of it; the night falls within them.
    """
    time, weather = _TIMES[seed % 6], _WEATHERS[seed // 6 % 6]
    span = float(frames * _FRAMES_APART / _RATE)
    return Conditions(time, weather, span_s=span)


def scenes(seed: int, frames: int, size: tuple[int, int] = SIZE) -> Iterator[Scene]:
    """Some moments of a street, 2.1 seconds apart.

    Args:
        seed: Of the street.
        frames: How many moments.
        size: Height and width, pixels.
    """
    clip = Clip(seed, 0, size=size, frame_rate=_RATE, conditions=conditions(seed, frames))
    for index in range(frames):
        yield clip.scene(index * _FRAMES_APART)


def many(seeds: range, frames: int, size: tuple[int, int] = SIZE) -> Iterator[Scene]:
    """``scenes`` of streets in the order of their seeds, drawn by all cores."""
    draw = partial(_street, frames=frames, size=size)
    if len(seeds) <= FEW:
        for seed in seeds:
            yield from draw(seed)
        return
    pool = ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))
    try:
        for street in pool.map(draw, seeds):
            yield from street
    finally:
        pool.shutdown(cancel_futures=True)


def _street(seed: int, frames: int, size: tuple[int, int]) -> list[Scene]:
    return list(scenes(seed, frames, size))
