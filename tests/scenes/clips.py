"""A short drive."""

from fractions import Fraction

import numpy as np

from scenes.render import Clip

SIZE = (256, 320)
LUMA = np.array([0.299, 0.587, 0.114])


def clip_of(seed: int, *, size: tuple[int, int] = SIZE, **settings) -> Clip:
    return Clip(seed, 0, size=size, frame_rate=Fraction(10), **settings)
