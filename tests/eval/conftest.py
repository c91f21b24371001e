"""Builders that the tests of eval share."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from detection.boxes import Detections
from eval.coco import ground_truth_json
from eval.coco_files import GroundTruth
from eval.labels import Labels

Box = Sequence[float]


@pytest.fixture(scope="session")
def detections() -> Callable[..., Detections]:
    """Detections from tuples (class, score, x1, y1, x2, y2)."""

    def build(*rows: tuple[float, ...]) -> Detections:
        return Detections(
            np.array([row[2:] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[1] for row in rows], np.float32),
            np.array([row[0] for row in rows], np.int64),
        )

    return build


@pytest.fixture(scope="session")
def labels() -> Callable[..., Labels]:
    """Labels from tuples (class, x1, y1, x2, y2), ignore regions from boxes."""

    def build(*rows: tuple[float, ...], ignore: Sequence[Box] = ()) -> Labels:
        return Labels(
            np.array([row[1:] for row in rows], np.float64).reshape(-1, 4),
            np.array([row[0] for row in rows], np.int64),
            np.array(ignore, np.float64).reshape(-1, 4),
        )

    return build


@pytest.fixture(scope="session")
def ground_truth() -> Callable[..., GroundTruth]:
    """A data set of 640x480 images called 0, 1, ..., with persons (0) and cars (2)."""

    def build(*truths: Labels) -> GroundTruth:
        images = [
            {"id": i + 1, "key": str(i), "file_name": f"{i}.png", "width": 640, "height": 480}
            for i in range(len(truths))
        ]
        return ground_truth_json(images, truths, {0: "person", 2: "car"})

    return build
