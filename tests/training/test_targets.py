"""What a detector should see: labels joined with what late fusion finds, by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from detection.boxes import Detections
from eval.labels import Labels
from training import targets
from training.config import DetectorConfig
from training.pairs import Pairs

CPU = torch.device("cpu")
DEMO = DetectorConfig(weights="demo", classes=(0, 2))


def found(*rows):
    """Rows of x1, y1, x2, y2, score, class."""
    values = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(values[:, :4], values[:, 4], values[:, 5].astype(np.int64))


def labels(*rows, ignore=()):
    """Rows of x1, y1, x2, y2, class."""
    values = np.array(rows, np.float64).reshape(-1, 5)
    regions = np.array(ignore, np.float64).reshape(-1, 4)
    return Labels(values[:, :4], values[:, 4].astype(np.int64), regions)


def rows(joined):
    return [pytest.approx(row) for row in joined.tolist()]


def test_without_labels_scores_are_weights():
    seen = found(
        (0, 0, 10, 10, 0.9, 0),
        (20, 0, 30, 10, 0.3, 2),
        (40, 0, 50, 10, 0.29, 2),  # unsure: counts neither way
        (60, 0, 70, 10, 0.04, 0),  # nothing
        (80, 0, 90, 10, 0.9, 1),  # of a class that doesn't matter
    )
    assert targets.join(seen, None, (0, 2)).tolist() == rows(
        np.array(
            [
                [0, 0, 10, 10, 0, 0.9],
                [20, 0, 30, 10, 2, 0.3],
                [40, 0, 50, 10, 2, 0.0],
            ]
        )
    )


def test_labels_lift_and_replace_what_is_found_of_them():
    seen = found(
        (1, 0, 10, 10, 0.8, 0),  # of the first label, IoU 0.9
        (0, 0, 10, 10, 0.7, 2),  # of another class: stays, as labels may be incomplete
        (20, 0, 30, 4, 0.6, 0),  # IoU 0.4 with the second label: another object
    )
    truth = labels((0, 0, 10, 10, 0), (20, 0, 30, 10, 0), (50, 0, 60, 10, 1), ignore=[[5, 5, 9, 9]])
    assert targets.join(seen, truth, (0, 2)).tolist() == rows(
        np.array(
            [
                [0, 0, 10, 10, 0, 0.8],
                [20, 0, 30, 10, 0, 0.5],  # nobody finds it
                [5, 5, 9, 9, 0, 0.0],
                [0, 0, 10, 10, 2, 0.7],
                [20, 0, 30, 4, 0, 0.6],
            ]
        )
    )


def pairs(truth, *, complete):
    rng = np.random.default_rng(0)
    data = rng.integers(256, size=2 * 64 * 96 * 4, dtype=np.uint8)
    places = ((0, 64, 96), (64 * 96 * 4, 64, 96))
    return Pairs(("a", "b"), ("0", "1"), places, truth, complete, "pairs", data)


def test_complete_labels_are_all_that_is_to_be_seen(tmp_path):
    truth = (labels((1, 2, 30, 40, 2), ignore=[[0, 0, 9, 9]]), labels(ignore=[[1, 1, 5, 5]]))
    first, second = targets.of_source(pairs(truth, complete=True), DEMO, tmp_path, CPU)
    assert first.tolist() == [[1, 2, 30, 40, 2, 1], [0, 0, 9, 9, 0, 0]]
    assert second.tolist() == [[1, 1, 5, 5, 0, 0]]  # nothing to be found, and where not to look
    assert list(tmp_path.iterdir()) == []  # nobody looked


def test_the_detector_looks_once(tmp_path, monkeypatch):
    looked = []

    def late(detector, planes, device):
        looked.append(planes.shape)
        return found((0, 0, 10, 10, 0.9, 0))

    monkeypatch.setattr(targets, "_late_fusion", late)
    for _ in range(2):
        seen = targets.of_source(pairs((None, None), complete=False), DEMO, tmp_path, CPU)
        assert [some.tolist() for some in seen] == [rows(np.array([[0, 0, 10, 10, 0, 0.9]]))] * 2
    assert looked == [(64, 96, 4)] * 2
    # kept by the pair, whatever else is in its source: only the new one is looked at
    some = pairs((None, None), complete=False)
    targets.of_source(replace(some, ids=("c", "a"), name="other"), DEMO, tmp_path, CPU)
    assert looked == [(64, 96, 4)] * 3
    assert list(tmp_path.iterdir()) == [targets.cache_file(DEMO, tmp_path)]


def test_late_fusion_merges_three_views(tmp_path, monkeypatch):
    """Infrared, visible and mean are given at once; of equal boxes the best stays."""
    shown = []

    class Detector:
        def __call__(self, images):
            shown.append(images)
            return [
                found((0, 0, 10, 10, 0.5, 0)),
                found((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.4, 2)),
                found((40, 0, 50, 10, 0.3, 0)),
            ]

    planes = pairs((None, None), complete=False)[0]
    seen = targets._late_fusion(Detector(), planes, CPU)
    assert seen.score.tolist() == pytest.approx([0.9, 0.4, 0.3])
    ir, vis, mean = shown[0].permute(0, 2, 3, 1).numpy()
    assert np.array_equal(ir, np.repeat(planes[..., 3:], 3, axis=2))
    assert np.array_equal(vis, planes[..., :3])
    assert not np.array_equal(mean, vis)
