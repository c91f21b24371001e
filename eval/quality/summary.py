"""Quality metrics of an arm: means over images, and correlation with the gain by fusion."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from eval.evaluation import ArmResult
from eval.operating_points import image_f1
from eval.quality.correlation import correlate, detection_gain


def means(table: pd.DataFrame | None) -> dict[str, float | None]:
    """An arm's ``quality`` in ``results.json``: the mean of each metric over the images.

    Args:
        table: One row per image, one column per metric, NaN if not defined; None gives {}.

    Returns:
        Mean by metric; None if it is defined for no image.
    """
    if table is None:
        return {}
    return {
        str(name): None if pd.isna(mean) else float(mean) for name, mean in table.mean().items()
    }


def correlations(
    tables: Mapping[str, pd.DataFrame],
    results: Mapping[str, ArmResult],
    baselines: Mapping[str, str | None],
) -> dict[str, dict[str, Any]]:
    """``quality_correlation`` of ``results.json``: by arm and metric, over the images.

    Args:
        tables: Tables as for ``means``, by arm; images in the order of the results.
        results: Scored detections by arm.
        baselines: Names of the arms of ``ir`` alone and of ``vis`` alone. Without both, or without
            labels, there is no gain, and the result is empty.
    """
    ir, vis = (results.get(baselines[modality] or "") for modality in ("ir", "vis"))
    if ir is None or vis is None or 0 in (ir.yolo.labels, vis.yolo.labels):
        return {}
    sources = image_f1(ir.matches), image_f1(vis.matches)
    by_arm = {}
    for arm, table in tables.items():
        if arm in results and results[arm] not in (ir, vis) and results[arm].yolo.labels:
            gain = detection_gain(image_f1(results[arm].matches), *sources)
            metrics = {str(name): table[name].to_numpy() for name in table}
            by_arm[arm] = {name: asdict(c) for name, c in correlate(metrics, gain).items()}
    return by_arm
