"""Whether predictions are as they should be, column by column: ten times as fast as each entry."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from eval.coco_checks import LARGEST, whole


def are_plain(entries: Sequence[dict[str, Any]]) -> bool:
    """Whether no entry has a problem and all ids are whole numbers or texts as they stand.

    Where this is False, ``eval.coco_checks.check_entries`` looks at each entry: one may be wrong,
    or only its ids be written otherwise (1.0).
    """
    for name in ("image_id", "category_id"):
        ids = [entry.get(name) for entry in entries]
        # the types first: True and 1.0 equal 1
        if not set(map(type, ids)) <= {int, str} or any(whole(v) is None for v in set(ids)):
            return False
    boxes: list[Any] = [entry.get("bbox") for entry in entries]
    if not set(map(type, boxes)) <= {list} or not set(map(len, boxes)) <= {4}:
        return False
    values = list(chain.from_iterable(boxes))
    scores = [entry.get("score") for entry in entries]
    if not set(map(type, chain(values, scores))) <= {int, float}:
        return False
    try:
        bbox = np.array(values, np.float64).reshape(-1, 4)
        score = np.array(scores, np.float64)
    except OverflowError:  # a whole number of over 308 digits
        return False
    in_range = (np.abs(bbox) < LARGEST).all() and (bbox[:, 2:] >= 0).all()  # NaN compares false
    return bool(in_range and ((score >= 0) & (score <= 1)).all())
