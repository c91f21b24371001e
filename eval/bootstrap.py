"""Paired bootstrap over images: how far the numbers would move with other images of the same kind.

A draw takes as many images as there are, with replacement, and every statistic is computed anew on
it, the confidence of the best F1 too. All arms see the same draws, so what is common to them (hard
images) cancels in their differences. An interval is the middle 95% of the draws, a little more with
few images: Hesterberg's expanded percentiles ("What Teachers Should Know About the Bootstrap", The
American Statistician 69, 2015), as wide in a normal population as Student's interval.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import sched_getaffinity
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit  # scipy.stats would take longer to import than a bootstrap

from eval.average_precision import CONFIDENCES, SMOOTHING_WIDTH, STATISTICS
from eval.bootstrap_kernel import Ranked, resample
from eval.columns import starts
from eval.matches import Matches

DRAWS = 2000
FEW_IMAGES = 50  # with fewer, intervals are too narrow; docs/evaluation.md has the simulation
_CHUNK = 100  # draws of one thread at a time
_BLOCK = 1 << 24  # counts of images in memory at once: those of several draws, or of one

Interval = tuple[float, float]
Verdict = Literal["better", "worse", "no evidence"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One statistic of an arm less that of another.

    Attributes:
        value: On all images.
        ci95: None where the images are too few or have no labels.
        verdict: ``better`` or ``worse`` where zero lies outside the interval; None without one.
    """

    value: float
    ci95: Interval | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """The draws of every arm.

    Attributes:
        images: How many images there are.
        arms: float64 (draws, 4), in the order of ``STATISTICS``; NaN in draws without any label of
            the arm's, which its intervals and differences leave out.
    """

    images: int
    arms: Mapping[str, NDArray[np.float64]]

    def interval(self, arm: str, statistic: str) -> Interval | None:
        """The 95% interval of an arm's statistic."""
        return self._interval(self.arms[arm][:, STATISTICS.index(statistic)])

    def difference(self, arm: str, other: str, statistic: str, value: float) -> Difference:
        """The paired difference of two arms; ``value`` is that of all images."""
        column = STATISTICS.index(statistic)
        ci95 = self._interval(self.arms[arm][:, column] - self.arms[other][:, column])
        return Difference(value, ci95, verdict_of(ci95))

    def _interval(self, draws: NDArray[np.float64]) -> Interval | None:
        return interval95(draws, self.images)


def interval95(draws: NDArray[np.float64], images: int) -> Interval | None:
    """The 95% interval of a statistic from its draws, of which NaN are left out; None without any.

    Args:
        draws: float64 (draws).
        images: How many images were drawn each time, at least 2 where there are draws.
    """
    draws = draws[~np.isnan(draws)]
    if len(draws) == 0:
        return None
    level = ndtr(np.sqrt(images / (images - 1)) * stdtrit(images - 1, 0.025))
    low, high = np.quantile(draws, (level, 1 - level))
    return float(low), float(high)


def verdict_of(ci95: Interval | None) -> Verdict | None:
    """What the interval of a difference says where more is better; None without one."""
    if ci95 is None:
        return None
    return "better" if ci95[0] > 0 else "worse" if ci95[1] < 0 else "no evidence"


def bootstrap(
    arms: Mapping[str, Matches], *, draws: int = DRAWS, seed: int = 0, threads: int | None = None
) -> Bootstrap:
    """Draw images and compute each arm's statistics on every draw.

    Args:
        arms: Matches of every arm on the same images, whose labels may differ.
        draws: How many.
        seed: Of the random numbers; the same seed and images give the same draws.
        threads: How many compute, which changes no number; None: one for each core.

    Returns:
        The draws; NaN for an arm of whose images fewer than two have a label, since all draws with
        a label would then have the same one.

    Raises:
        ValueError: The arms have different numbers of images.
    """
    images = next(iter(arms.values())).images
    if any(matches.images != images for matches in arms.values()):
        raise ValueError("the arms must be matched on the same images")
    ranked = {arm: _ranked(mine) for arm, mine in arms.items() if mine.labelled_images > 1}
    values = {arm: np.full((draws, len(STATISTICS)), np.nan) for arm in arms}
    random = np.random.default_rng(seed)
    block = max(1, min(draws, _BLOCK // max(1, images)))
    for start in range(0, draws if ranked else 0, block):
        counts = draw(images, min(block, draws - start), random)
        for arm, mine in ranked.items():
            values[arm][start : start + len(counts)] = _statistics(mine, counts, threads)
    return Bootstrap(images, values)


def draw(images: int, draws: int, seed: int | np.random.Generator) -> NDArray[np.int32]:
    """How often each draw has each image, int32 (draws, images)."""
    shares = np.full(images, 1 / images)
    return np.random.default_rng(seed).multinomial(images, shares, draws).astype(np.int32)


def statistics(matches: Matches, counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """The four statistics of resampled images, those that ``summarize`` gives for them.

    Args:
        matches: The images' own matches.
        counts: int32 (d, images), how often each draw has each image.

    Returns:
        float64 (d, 4), NaN for draws without labels.
    """
    if len(matches.label_class) == 0:
        return np.full((len(counts), len(STATISTICS)), np.nan)
    return _statistics(_ranked(matches), counts, None)


def _statistics(
    ranked: Ranked, counts: NDArray[np.int32], threads: int | None
) -> NDArray[np.float64]:
    """The same of ranked matches."""
    result = np.full((len(counts), len(STATISTICS)), np.nan)
    parts = range(0, len(counts), _CHUNK)

    def work(start: int) -> None:
        rows = slice(start, start + _CHUNK)
        resample(ranked, counts[rows], CONFIDENCES, SMOOTHING_WIDTH, result[rows])

    with ThreadPoolExecutor(threads or len(sched_getaffinity(0))) as pool:
        list(pool.map(work, parts))  # the list raises what a thread raised
    return result


def _ranked(matches: Matches) -> Ranked:
    """The matches, class after class; those of classes without labels count in no statistic."""
    classes = np.unique(matches.label_class)
    order = [np.flatnonzero(matches.class_id == class_id) for class_id in classes]
    every = np.concatenate(order)
    parts = [_marks(matches.hit[mine], matches.score[mine]) for mine in order]
    hits = [mine for part in parts for mine in part.hits]
    where = [matches.label_image[matches.label_class == class_id] for class_id in classes]
    return Ranked(
        image=matches.image[every].astype(np.int32),
        score=matches.score[every],
        start=starts([len(mine) for mine in order]),
        marked=np.concatenate([part.marked for part in parts]),
        marks=np.concatenate([part.marks for part in parts]),
        marks_start=starts([len(part.marks) for part in parts]),
        passed=np.stack([part.passed for part in parts]),
        hits=np.concatenate(hits),
        hits_start=starts([len(mine) for mine in hits]),
        labels=np.stack([np.bincount(images, minlength=matches.images) for images in where]),
    )


class _Marks(NamedTuple):
    """A class's part of ``Ranked``; ``hits`` by threshold."""

    marked: NDArray[np.uint8]
    marks: NDArray[np.int32]
    passed: NDArray[np.int64]
    hits: list[NDArray[np.int32]]


def _marks(hit: NDArray[np.bool_], score: NDArray[np.float64]) -> _Marks:
    """From the hits (n, t) and scores (n,) of a class."""
    passed = np.searchsorted(-score, -CONFIDENCES, side="right")
    marked = np.zeros(len(hit) + 1, np.uint8)  # the end is one
    marked[:-1] = hit.any(axis=1)
    marked[1:] |= marked[:-1]
    marked[passed] = 1
    marked[-1] = 1
    number = marked.cumsum(dtype=np.int32) - 1
    return _Marks(
        marked=marked[:-1],
        marks=np.flatnonzero(marked).astype(np.int32),
        passed=number[passed].astype(np.int64),
        hits=[number[np.flatnonzero(column)] for column in hit.T],
    )
