import numpy as np
import pytest

from detection.boxes import Detections


def make(n):
    return Detections(
        np.arange(4 * n, dtype=np.float32).reshape(n, 4),
        np.linspace(0.9, 0.1, n, dtype=np.float32),
        np.zeros(n, np.int64),
    )


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shapes disagree"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(3, np.float32), np.zeros(2, np.int64))


def test_selection_and_concatenation():
    three = make(3)
    assert len(three) == 3
    assert three[np.array([2, 0])].score.tolist() == pytest.approx([0.1, 0.9])
    assert three[three.score > 0.4].xyxy.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(Detections.concatenate([three, Detections.empty(), three])) == 6
    assert len(Detections.concatenate([])) == 0
