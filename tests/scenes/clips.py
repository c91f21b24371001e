"""Short drives."""

from fractions import Fraction

import numpy as np

from scenes.render import Clip
from scenes.textures import Textures

SIZE = (256, 320)
LUMA = np.array([0.299, 0.587, 0.114])
STREETS = 6  # whose paint is kept

_painted: dict[tuple[int, int, bool, bool], Textures] = {}  # by street and look, oldest first


def clip_of(seed: int, *, size: tuple[int, int] = SIZE, **settings) -> Clip:
    return Clip(seed, 0, size=size, frame_rate=Fraction(10), **settings)


def quick_clip_of(seed: int, *, size: tuple[int, int] = SIZE, **settings) -> Clip:
    """For tests that don't look at the paint."""
    return painted(clip_of(seed, size=size, **settings))


def painted(clip: Clip) -> Clip:
    """A clip that takes the paint of its street from an earlier one, which is most of its work.

    A street is painted alike at all times of summer, and at all of the rest of the year, unless it
    is wet.
    """
    key = (*clip.street.seed, clip.climate.summer, clip.climate.wet)
    backdrop = clip._backdrop
    backdrop._textures = _painted[key] = _painted.pop(key, backdrop._textures)
    if len(_painted) > STREETS:
        del _painted[next(iter(_painted))]
    return clip
