"""Arms against each other by image quality: intervals and paired differences with verdicts.

As for boxes (``eval.bootstrap``): images are drawn with replacement, all arms see the same draws.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from eval.bootstrap import DRAWS, draw, interval95, verdict_of
from eval.quality.names import METRICS

Json = dict[str, Any]

_LOWER_IS_BETTER = {metric.key for metric in METRICS if not metric.higher_is_better}


def judge_quality(
    tables: Mapping[str, pd.DataFrame],
    against: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Json]:
    """The mean of each metric of every arm, alone and less that of others.

    Args:
        tables: By arm: one row per image, the same images in all, and one column per metric of
            ``names.METRICS``; NaN where it isn't defined, which the means leave out.
        against: The arms with which all others are compared.
        draws: Of the bootstrap.
        seed: Of its random numbers.

    Returns:
        By arm and metric: ``value``, the mean; ``ci95``; and ``less``, by arm of ``against``:
        ``difference``, ``ci95`` and ``verdict``, which is ``better`` where the arm is, also where
        lower is better. None where a number isn't defined.

    Raises:
        ValueError: The arms weren't measured on the same images.
    """
    first = next(iter(tables.values()))
    if any(not table.index.equals(first.index) for table in tables.values()):
        raise ValueError("the arms must be measured on the same images")
    images = len(first)
    counts = draw(images, draws if images > 1 else 0, seed)  # (draws, images)
    whole = {arm: _means(table, np.ones((1, images)))[0] for arm, table in tables.items()}
    drawn = {arm: _means(table, counts) for arm, table in tables.items()}
    return {
        arm: {
            str(metric): {
                "value": _number(whole[arm][column]),
                "ci95": _list(interval95(drawn[arm][:, column], images)),
                "less": {
                    other: _difference(
                        whole[arm][column] - whole[other][column],
                        drawn[arm][:, column] - drawn[other][:, column],
                        images,
                        lower_is_better=metric in _LOWER_IS_BETTER,
                    )
                    for other in against
                    if other != arm
                },
            }
            for column, metric in enumerate(table)
        }
        for arm, table in tables.items()
    }


def _means(table: pd.DataFrame, counts: NDArray[np.number]) -> NDArray[np.float64]:
    """Means over drawn images, (draws, metrics); NaN where a metric is defined for none of them."""
    values = table.to_numpy(np.float64)  # (images, metrics)
    defined = ~np.isnan(values)
    times = counts @ defined.astype(np.float64)  # (draws, metrics)
    total = counts @ np.where(defined, values, 0)
    means: NDArray[np.float64] = np.full(total.shape, np.nan)
    np.divide(total, times, out=means, where=times > 0)
    return means


def _difference(
    value: float, drawn: NDArray[np.float64], images: int, *, lower_is_better: bool
) -> Json:
    ci95 = interval95(drawn, images)
    verdict = verdict_of((-ci95[1], -ci95[0]) if ci95 and lower_is_better else ci95)
    return {"difference": _number(value), "ci95": _list(ci95), "verdict": verdict}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _list(ci95: Sequence[float] | None) -> list[float] | None:
    return None if ci95 is None else list(ci95)
