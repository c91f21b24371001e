"""Masks of arms scored against true masks, one image at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common.errors import DataError
from eval.masks import FindMask, Mask, MaskTask
from eval.segmentation import RegionCounts, count
from eval.segmentation_comparison import judge_masks, warnings


def score_masks(
    task: MaskTask,
    keys: Sequence[str],
    arms: Mapping[str, FindMask],
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Score every arm's masks.

    Args:
        task: The truth and what counts of it.
        keys: Names of the images, all of which every arm has.
        arms: The mask that an arm found for an image.
        on_progress: Called with the number of finished masks and of all.

    Returns:
        ``images``, ``regions``, ``arms`` and ``comparisons`` as ``eval.segmentation_comparison``
        gives them, and ``warnings``. Distances are in pixels, of NIfTI in its unit, millimetres.

    Raises:
        errors.DataError: A mask is missing or damaged, or differs in size from the true one.
    """
    rows: dict[str, list[RegionCounts]] = {arm: [] for arm in arms}
    for done, key in enumerate(keys):
        truth = task.truth(key)
        for number, (arm, find) in enumerate(arms.items(), 1):
            found = find(key)
            if found.labels.shape != truth.labels.shape:
                raise DataError(
                    f"{found.name or key}: {_size(found)}, but {truth.name or 'its true mask'} has "
                    f"{_size(truth)}"
                )
            one = [(found.labels, truth.labels)]
            spacing = [truth.spacing]
            rows[arm].append(count(one, task.regions, ignore=task.ignore, spacing=spacing))
            on_progress(done * len(arms) + number, len(keys) * len(arms))
    counts = {arm: RegionCounts.joined(parts) for arm, parts in rows.items() if parts}
    parts, comparisons = judge_masks(counts, list(task.regions))
    return {
        "images": len(keys),
        "regions": {name: sorted(values) for name, values in task.regions.items()},
        "arms": parts,
        "comparisons": comparisons,
        "warnings": warnings(counts, list(task.regions)),
    }


def _size(mask: Mask) -> str:
    return "x".join(map(str, mask.labels.shape))
