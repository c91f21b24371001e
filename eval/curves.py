"""The curves that a report draws, of every class that is in the labels, at IoU 0.5."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from eval.average_precision import RECALLS, at_confidences, class_curve, envelope
from eval.matches import Matches

CONFIDENCES: NDArray[np.float64] = np.linspace(0, 1, 101)
_DIGITS = 4  # enough for a picture


def to_json(matches: Matches, names: Mapping[int, str]) -> dict[str, dict[str, list[float]]]:
    """An arm's curves by class name, each with 101 points.

    ``precision``: the envelope over recall 0, 0.01, ... 1, whose area is the average precision;
    ``precision_at``, ``recall_at``, ``f1_at``: over confidence 0, 0.01, ... 1.
    """
    curves = {}
    for class_id in np.unique(matches.label_class).tolist():
        curve = class_curve(matches, class_id)
        precision, recall = at_confidences(curve, CONFIDENCES)
        total = precision + recall
        f1 = np.divide(2 * precision * recall, total, out=np.zeros(len(total)), where=total > 0)
        curves[names[class_id]] = {
            "precision": _rounded(envelope(curve.recall, curve.precision)),
            "precision_at": _rounded(precision),
            "recall_at": _rounded(recall),
            "f1_at": _rounded(f1),
        }
    return curves


def grids() -> dict[str, list[float]]:
    """What the curves are over."""
    return {"recall": _rounded(RECALLS), "confidence": _rounded(CONFIDENCES)}


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return [round(value, _DIGITS) for value in values.tolist()]
