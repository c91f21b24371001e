"""Arms against each other by their masks: intervals and paired differences with verdicts.

As for boxes (``eval.bootstrap``): images are drawn with replacement, all arms see the same draws.
"""

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.bootstrap import DRAWS, FEW_IMAGES, Interval, draw, interval95, verdict_of
from eval.masks import MEAN
from eval.segmentation import (
    LOWER_IS_BETTER,
    STATISTICS,
    RegionCounts,
    mean_distances,
    statistics,
)

Json = dict[str, Any]
_HD95 = STATISTICS.index("hd95")


def judge_masks(
    counts: Mapping[str, RegionCounts],
    regions: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[dict[str, Json], Json]:
    """Score every arm, alone and against each other.

    Args:
        counts: By arm, on the same images.
        regions: Names of the regions, in the order of the counts.
        draws: Of the bootstrap.
        seed: Of its random numbers.

    Returns:
        By arm and region, ``mean`` last: the statistics, ``ci95`` of each, and how many images have
        the region (``images``) and lack it in the arm's mask (``missed``). And by arm, other arm,
        region and statistic: ``difference``, ``ci95`` and ``verdict``, which is ``better`` where
        the arm is, also for distances; that of distances is of the regions of images that both
        masks have. None where a number isn't defined.

    Raises:
        ValueError: The arms have different numbers of images.
    """
    images = {len(mine.tp) for mine in counts.values()}
    if len(images) > 1:
        raise ValueError("the arms must be scored on the same images")
    names = [*regions, MEAN]
    number = images.pop() if images else 0
    once = np.ones((1, number), np.int32)
    values = {arm: statistics(mine, once)[0] for arm, mine in counts.items()}
    chosen = draw(number, draws if number > 1 else 0, seed) if number else once[:0]
    drawn = {arm: statistics(mine, chosen) for arm, mine in counts.items()}
    parts = {
        arm: _part(mine, values[arm], drawn[arm], names, number) for arm, mine in counts.items()
    }
    comparisons: Json = {arm: {} for arm in counts}
    for arm, other in permutations(counts, 2):
        apart, drawn_apart = values[arm] - values[other], drawn[arm] - drawn[other]
        apart[:, _HD95] = _distances_apart(counts[arm], counts[other], once)[0]
        drawn_apart[..., _HD95] = _distances_apart(counts[arm], counts[other], chosen)
        comparisons[arm][other] = _differences(apart, drawn_apart, names, number)
    return parts, comparisons


def _distances_apart(
    one: RegionCounts, other: RegionCounts, draws: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Differences of ``hd95``, (draws, regions + 1), of what both masks have.

    Otherwise an arm would gain by missing a region in the images where it is hard to find.
    """
    both = ~np.isnan(one.distance) & ~np.isnan(other.distance)
    mine, theirs = (
        mean_distances(np.where(both, counts.distance, np.nan), draws) for counts in (one, other)
    )
    return np.asarray(mine - theirs)


def warnings(counts: Mapping[str, RegionCounts], regions: Sequence[str]) -> list[str]:
    """What a reader of the numbers must know, one line each."""
    if not counts:
        return []
    labelled = next(iter(counts.values())).labelled
    some = np.any(labelled, axis=0)
    absent = [name for column, name in enumerate(regions) if not some[column]]
    found = []
    if absent:
        found.append(f"no label has {', '.join(absent)}: left out of the means")
    if len(labelled) == 1:
        found.append("a single image gives no intervals")
    elif len(labelled) < FEW_IMAGES:
        found.append(f"{len(labelled)} images are few: 95% intervals are too narrow")
    return found


def _part(
    counts: RegionCounts,
    values: NDArray[np.float64],
    drawn: NDArray[np.float64],
    names: Sequence[str],
    images: int,
) -> Json:
    """An arm's own numbers; values (regions + 1, 5), drawn (draws, regions + 1, 5)."""
    part: Json = {}
    for row, name in enumerate(names):
        part[name] = {key: _number(values[row, column]) for column, key in enumerate(STATISTICS)}
        part[name]["ci95"] = {
            key: _list(interval95(drawn[:, row, column], images))
            for column, key in enumerate(STATISTICS)
        }
        if name != MEAN:
            part[name]["images"] = int(counts.labelled[:, row].sum())
            part[name]["missed"] = int(counts.missed[row])
    return part


def _differences(
    values: NDArray[np.float64], drawn: NDArray[np.float64], names: Sequence[str], images: int
) -> Json:
    table: Json = {}
    for row, name in enumerate(names):
        table[name] = {}
        for column, key in enumerate(STATISTICS):
            ci95 = interval95(drawn[:, row, column], images)
            table[name][key] = {
                "difference": _number(values[row, column]),
                "ci95": _list(ci95),
                "verdict": verdict_of(_flipped(ci95) if key in LOWER_IS_BETTER else ci95),
            }
    return table


def _flipped(ci95: Interval | None) -> Interval | None:
    return None if ci95 is None else (-ci95[1], -ci95[0])


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _list(ci95: Interval | None) -> list[float] | None:
    return None if ci95 is None else list(ci95)
