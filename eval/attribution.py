"""What fusion did for each labelled object: which arms found it.

An object is found by an arm where a detection of at least the arm's confidence hits it at IoU 0.5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.matches import Matches

# by 4 * found in IR + 2 * found in VIS + found in fused
OUTCOMES = (
    "missed_by_all", "rescued", "lost_vis", "kept_vis", "lost_ir", "kept_ir", "lost_both",
    "kept_both",
)  # fmt: skip
# COCO's areas, square pixels
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}


@dataclass(frozen=True, slots=True)
class Attribution:
    """How many labelled objects had each of the eight outcomes.

    ``rescued``: found in fused alone. ``kept_ir``, ``kept_vis``, ``kept_both``: found in fused and
    in IR alone, in VIS alone, in both. ``lost_*``: the same, but not found in fused.
    ``missed_by_all``: found nowhere. The eight sum to all objects of their row.

    Attributes:
        confidences: Least score that counts, by arm: IR, VIS, fused.
        counts: By row (``all``, each class, size and light that has objects), then outcome.
    """

    confidences: tuple[float, float, float]
    counts: Mapping[str, Mapping[str, int]]


def attribute(
    ir: Matches,
    vis: Matches,
    fused: Matches,
    confidences: tuple[float, float, float],
    groups: Mapping[str, NDArray[np.bool_]],
) -> Attribution:
    """Count the outcomes of all labelled objects.

    Args:
        ir: The infrared arm's matches.
        vis: The visible arm's, of the same labels.
        fused: That of the arm in question.
        confidences: Least score that counts, in this order.
        groups: Further rows: which labels belong to them, bool (m,).
    """
    arms: Sequence[Matches] = (ir, vis, fused)
    found = [arm.label_score >= c for arm, c in zip(arms, confidences, strict=True)]  # 3 x (m,)
    outcome = 4 * found[0] + 2 * found[1] + found[2]  # (m,)
    rows = {"all": np.ones(len(outcome), np.bool_), **groups}
    return Attribution(
        confidences,
        {name: _count(outcome[mine]) for name, mine in rows.items() if mine.any()},
    )


def size_groups(matches: Matches) -> dict[str, NDArray[np.bool_]]:
    """Which labels are small, medium and large, bool (m,) each."""
    area = matches.label_area
    return {name: (area >= low) & (area < high) for name, (low, high) in SIZES.items()}


def size_of(box: Sequence[float]) -> str:
    """The size, of ``SIZES``, of a box x1, y1, x2, y2 in pixels."""
    area = (box[2] - box[0]) * (box[3] - box[1])
    return next(name for name, (low, high) in SIZES.items() if low <= area < high)


def _count(outcome: NDArray[np.int64]) -> dict[str, int]:
    return dict(zip(OUTCOMES, np.bincount(outcome, minlength=8).tolist(), strict=True))
