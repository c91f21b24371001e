"""Masks of arms scored against true masks, one image at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

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
        errors.DataError: A mask is missing or damaged, differs from the true one in size or place,
            or has a label that it may not have.
    """
    rows: dict[str, list[RegionCounts]] = {arm: [] for arm in arms}
    unnamed: set[int] = set()
    for done, key in enumerate(keys):
        truth = task.truth(key)
        task.check(truth, key)
        unnamed.update(task.unnamed(truth))
        for number, (arm, find) in enumerate(arms.items(), 1):
            found = find(key)
            task.check(found, key)
            _check_grid(found, truth, key)
            one = [(found.labels, truth.labels)]
            spacing = [truth.spacing]
            rows[arm].append(count(one, task.regions, ignore=task.ignore, spacing=spacing))
            on_progress(done * len(arms) + number, len(keys) * len(arms))
    counts = {arm: RegionCounts.joined(parts) for arm, parts in rows.items() if parts}
    said = warnings(counts, list(task.regions))
    if unnamed:
        which = ", ".join(map(str, sorted(unnamed)))
        said.append(f"true masks have labels in no region, scored as background: {which}")
    parts, comparisons = judge_masks(counts, list(task.regions))
    return {
        "images": len(keys),
        "regions": {name: sorted(values) for name, values in task.regions.items()},
        "arms": parts,
        "comparisons": comparisons,
        "warnings": said,
    }


def _check_grid(found: Mask, truth: Mask, key: str) -> None:
    """Check that the pixels of a found mask are those of the true one."""
    name, true_name = found.name or key, truth.name or "its true mask"
    if found.labels.shape != truth.labels.shape:
        raise DataError(f"{name}: {_size(found)}, but {true_name} has {_size(truth)}")
    if (found.affine is None) != (truth.affine is None):
        raise DataError(
            f"{name}: one of it and {true_name} is an image, the other NIfTI, whose axes may be "
            "in another order; give both in one format"
        )
    if found.affine is None or truth.affine is None:
        return
    if not np.allclose(found.affine, truth.affine, rtol=0, atol=1e-3):
        raise DataError(
            f"{name}: lies elsewhere in space than {true_name} (other affine); resample it to the "
            "same grid"
        )


def _size(mask: Mask) -> str:
    return "x".join(map(str, mask.labels.shape))
