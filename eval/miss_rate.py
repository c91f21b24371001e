"""Log-average miss rate, the measure of pedestrian detection (Dollar et al., PAMI 2012; KAIST)."""

import numpy as np

from eval.average_precision import Matches

_FALSE_POSITIVES = np.logspace(-2, 0, 9)  # an image
_FLOOR = 1e-10  # a miss rate of 0 has no logarithm


def log_average_miss_rate(matches: Matches, class_id: int) -> float | None:
    """Geometric mean of the miss rate at 0.01... 1 false positives an image, in nine steps.

    Detections of the class are taken best score first, hits by the YOLO rule at IoU 0.5. After each
    there is a point: false positives so far over images, and the share of labels not hit so far. At
    each of the nine references the miss rate is that of the last point that doesn't exceed it, and
    1 where the curve starts beyond it. (Codes that take index -1 there read the curve's far end
    instead, its lowest miss rate.)

    Args:
        matches: One arm's; of its images those without labels count too.
        class_id: The class.

    Returns:
        In [1e-10, 1], lower is better; None where the class has no labels.
    """
    labels = int((matches.label_class == class_id).sum())
    if labels == 0:
        return None
    hit = matches.hit[matches.class_id == class_id, 0]
    false_positives = (~hit).cumsum() / matches.images
    miss_rate = np.append(1.0, 1 - hit.cumsum() / labels)  # the first is before all detections
    points = np.searchsorted(false_positives, _FALSE_POSITIVES, side="right")
    return float(np.exp(np.log(np.maximum(miss_rate[points], _FLOOR)).mean()))
