"""The evaluation of a run's masks: scores the files that its results sink wrote."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from eval.mask_files import mask_reader
from eval.mask_scores import score_masks
from eval.masks import Mask, MaskTask
from eval.segmentation import STATISTICS
from pipeline.interfaces import RunContext
from pipeline.run_folder.names import MASKS, PAIR_LOG
from pipeline.run_folder.sink_files import read_lines

COLUMNS = (
    "arm", "region", "images", "missed", *STATISTICS,
    *(f"{name}_{end}" for name in STATISTICS for end in ("low", "high")),
)  # fmt: skip


class MaskScores(NamedTuple):
    """What the masks of a run add to its results.

    Attributes:
        scores: As of ``eval.mask_scores.score_masks``.
        protocol: What they depend on.
    """

    scores: Mapping[str, Any]
    protocol: Mapping[str, Any]

    @property
    def summary(self) -> dict[str, Any]:
        """The part of the results that is of no single arm."""
        return {key: self.scores[key] for key in ("images", "regions", "comparisons")}

    def table(self) -> pd.DataFrame:
        """A row for each arm and region, and for the mean; the columns are ``COLUMNS``."""
        rows = [
            {"arm": arm, "region": region, **_row(values)}
            for arm, part in self.scores["arms"].items()
            for region, values in part.items()
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))


def evaluate_masks(context: RunContext) -> MaskScores | None:
    """Score every arm's masks of all pairs with two working cameras; None where boxes are scored.

    Raises:
        errors.DataError: A mask is missing, or differs in size from its image.
    """
    if context.masks is None:
        return None
    lines = read_lines(context.folder / PAIR_LOG)
    keys = [line["key"] for line in lines if not line["dead"]]
    truth = _Hashed(context.masks)
    task = replace(context.masks, truth=truth)
    finds = {arm: mask_reader(_folder(context, arm)) for arm in context.arms}
    scores = score_masks(task, keys, finds)
    protocol = {
        "masks": {
            "regions": scores["regions"],
            "ignore": task.ignore,
            "truth_sha256": truth.digest.hexdigest(),
        },
    }
    return MaskScores(scores, protocol)


class _Hashed:
    """The true masks, hashed as they are read, as images: NIfTI's place in space is forgotten."""

    def __init__(self, task: MaskTask) -> None:
        self._task = task
        self.digest = hashlib.sha256()

    def __call__(self, key: str) -> Mask:
        mask = self._task.truth(key)
        self.digest.update(f"{key} {mask.labels.shape}".encode())
        self.digest.update(np.ascontiguousarray(mask.labels, np.int64).data)
        return replace(mask, affine=None)


def _folder(context: RunContext, arm: str) -> Path:
    return context.folder / MASKS / arm


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: values.get(name) for name in ("images", "missed", *STATISTICS)}
    for name in STATISTICS:
        row[f"{name}_low"], row[f"{name}_high"] = values["ci95"][name] or (None, None)
    return row
