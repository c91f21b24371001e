"""Motion that two cameras see alike, for tests of their clocks."""

import numpy as np

S = 1_000_000_000  # nanoseconds


class Shaking:
    """A brightness that shakes at random, at any moment; two cameras see it with other contrast."""

    def __init__(self, seed):
        generator = np.random.default_rng(seed)
        self._hertz = generator.uniform(0.3, 3.0, 40)
        self._phase = generator.uniform(0, 2 * np.pi, 40)

    def frames(self, seconds, *, gain=400.0, noise=0.0, seed=0):
        """(when it was taken, image) of moments; the times are those of the moments."""
        generator = np.random.default_rng([seed, 9])
        level = np.sin(2 * np.pi * np.outer(seconds, self._hertz) + self._phase).sum(axis=1)
        for moment, value in zip(seconds, level, strict=True):
            image = 20_000 + gain * value + generator.normal(0, noise, (6, 8))
            yield round(moment * S), image.astype(np.uint16)
