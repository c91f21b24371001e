"""Generated streets for training: their seeds, times of day and weathers."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial

from scenes.climate import Conditions, Time, Weather
from scenes.render import Clip, Scene

# The seeds of runs are below both.
VALIDATION_SEED = 50_000  # of the first validation street
FIRST_SEED = 100_000  # of the first training street
SIZE = (256, 320)  # height, width, pixels

_TIMES: tuple[Time, ...] = (
    "day", "night", "dusk", "dusk_to_night", "afternoon", "afternoon_to_night"
)  # fmt: skip
_WEATHERS: tuple[Weather, ...] = ("clear", "clear", "clear", "clear", "fog", "rain")
FEW = 8  # streets take less time than starting processes
_RATE, _STEP = Fraction(10), 21  # every 21st frame, 2.1 s apart, so that all actors have moved


def conditions(seed: int, frames: int = 4) -> Conditions:
    """The time of day and the weather of a street.

    Times follow each other by seed; of six streets at the same time four are clear, one has fog and
    one rain.

    Args:
        seed: Seed of the street.
        frames: Number of frames, within which a change of the time of day happens.
    """
    time, weather = _TIMES[seed % 6], _WEATHERS[seed // 6 % 6]
    span = float(frames * _STEP / _RATE)
    return Conditions(time, weather, span_s=span)


def scenes(seed: int, frames: int, size: tuple[int, int] = SIZE) -> Iterator[Scene]:
    """Frames of a street, 2.1 seconds apart.

    Args:
        seed: Seed of the street.
        frames: Number of frames.
        size: Height and width, pixels.
    """
    clip = Clip(seed, 0, size=size, frame_rate=_RATE, conditions=conditions(seed, frames))
    for index in range(frames):
        yield clip.scene(index * _STEP)


def many(seeds: range, frames: int, size: tuple[int, int] = SIZE) -> Iterator[Scene]:
    """``scenes`` of several streets in the order of their seeds, drawn on all cores."""
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
