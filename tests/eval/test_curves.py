"""The curves' points against the numbers that they integrate to."""

import numpy as np
import pytest

from eval.average_precision import summarize
from eval.curves import grids, to_json
from eval.labels import Labels
from eval.matches import match_images


def test_points_by_hand(detections, labels):
    """Two labels; a hit at 0.8, a false alarm at 0.5."""
    matches = match_images(
        [detections((0, 0.8, 0, 0, 9, 9), (0, 0.5, 40, 40, 49, 49))],
        [labels((0, 0, 0, 9, 9), (0, 20, 0, 29, 9))],
    )
    curve = to_json(matches, {0: "person", 2: "car"})
    assert list(curve) == ["person"]
    person = {name: np.array(values) for name, values in curve["person"].items()}
    confidence = np.array(grids()["confidence"])
    assert person["precision_at"][confidence == 0.8] == pytest.approx(1, abs=1e-4)
    assert person["precision_at"][confidence == 0.4] == pytest.approx(0.5)
    assert person["recall_at"][[0, 80, 90, 100]].tolist() == pytest.approx([0.5, 0.5, 0, 0])
    assert person["f1_at"][[0, 90]].tolist() == pytest.approx([0.5, 0])
    area = np.trapezoid(person["precision"], grids()["recall"])
    assert area == pytest.approx(summarize(matches).map50, abs=1e-4)


def test_a_labelled_class_without_detections(detections, labels):
    curve = to_json(match_images([detections()], [labels((2, 0, 0, 9, 9))]), {2: "car"})
    assert {name: set(values) for name, values in curve["car"].items()} == {
        name: {0.0} for name in ("precision", "precision_at", "recall_at", "f1_at")
    }


def test_nothing_labelled(detections):
    assert to_json(match_images([detections()], [Labels.empty()]), {0: "person"}) == {}
