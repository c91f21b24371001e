"""The predictions and scores of a run's arms, one arm after the other.

Scored are the numbers that stand in the COCO files, so that other tools get the same scores.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from common.modality import Modality
from eval.class_names import COCO_NAMES
from eval.evaluation import ArmResult, evaluate_arm
from eval.predictions import Predictions
from eval.truth import Truth
from pipeline.interfaces import RunContext
from pipeline.run_folder.coco_writer import GroundTruthFile
from pipeline.run_folder.detection_log import read_detections
from pipeline.run_folder.names import predictions_file
from pipeline.run_folder.predictions_file import PredictionsFile, as_written

_BLOCK = 1 << 16  # detections that are text at once, 7 MB


def score_arms(
    context: RunContext,
    files: Mapping[Modality | None, GroundTruthFile],
    counts: Mapping[str, NDArray[np.int64]],
    scored: NDArray[np.bool_],
) -> dict[str, ArmResult]:
    """Write the predictions of every arm; its scores, empty without labels.

    Args:
        context: The run.
        files: Its ground truth, written, by the camera whose own labels they hold.
        counts: By arm, how many detections each pair has, (pairs,).
        scored: Which pairs are scored, (pairs,).
    """
    truths: dict[Modality | None, Truth] = {}
    results = {}
    for arm, mine in counts.items():
        found = _write(context, arm, mine, scored)
        if not context.labelled:
            continue
        camera = context.truths.get(arm)
        if camera not in truths:
            truths[camera] = files[camera].truth()
        results[arm] = evaluate_arm(
            truths[camera], found, reasonable=context.protocol.get("subset") == "reasonable"
        )
    return results


def counted_names(context: RunContext) -> dict[int, str]:
    """The scored classes, name by id."""
    names = COCO_NAMES if context.detector is None else context.detector.names
    classes = context.classes
    return {i: name for i, name in names.items() if classes is None or i in classes}


def _write(
    context: RunContext, arm: str, counts: NDArray[np.int64], scored: NDArray[np.bool_]
) -> Predictions:
    """Write the detections that count; the numbers of the file, none without labels."""
    names = list(counted_names(context))
    parts = []
    with PredictionsFile(context.folder / predictions_file(arm)) as file:
        for found, pair in read_detections(context.folder, arm, counts, _BLOCK):
            mine = scored[pair] & np.isin(found.class_id, names)
            part = as_written(found[mine], pair[mine] + 1)
            file.extend(part)
            if context.labelled:  # else nothing is scored
                parts.append(part)
    return Predictions.concatenate(parts)
