"""Arms against each other by their masks."""

import numpy as np
import pytest

from eval.bootstrap import draw
from eval.segmentation import STATISTICS, count, statistics
from eval.segmentation_comparison import judge_masks, warnings

REGIONS = {"low": frozenset({1}), "high": frozenset({2})}


def arms(images=30, seed=0):
    """Squares that ``good`` finds nearly, as does ``same``, and ``bad`` moved by two pixels."""
    rng = np.random.default_rng(seed)
    good, bad = [], []
    for _ in range(images):
        truth = np.zeros((16, 16), int)
        y, x = rng.integers(2, 8, 2)
        truth[y : y + 4, x : x + 4] = rng.integers(1, 3)
        near = truth.copy()
        near[y, x] = 0
        good.append((near, truth))
        bad.append((np.roll(truth, 2, 1), truth))
    return {name: count(pairs, REGIONS) for name, pairs in (("good", good), ("bad", bad))} | {
        "same": count(good, REGIONS)
    }


def test_the_better_arm_is_better():
    counts = arms()
    parts, comparisons = judge_masks(counts, list(REGIONS))
    assert list(parts["good"]) == ["low", "high", "mean"]
    for name in STATISTICS:
        entry = comparisons["good"]["bad"]["mean"][name]
        assert entry["verdict"] == "better", name
        assert comparisons["bad"]["good"]["mean"][name]["verdict"] == "worse"
        values = [parts[arm]["mean"][name] for arm in ("good", "bad")]
        assert entry["difference"] == pytest.approx(values[0] - values[1])
        low, high = parts["bad"]["mean"]["ci95"][name]
        assert low <= values[1] <= high
        alike = comparisons["good"]["same"]["mean"][name]
        assert alike == {"difference": 0, "ci95": [0, 0], "verdict": "no evidence"}
    assert parts["good"]["low"]["iou"] == pytest.approx(15 / 16)
    assert parts["good"]["low"]["images"] + parts["good"]["high"]["images"] == 30
    assert parts["good"]["low"]["missed"] == 0


def test_missing_a_region_where_it_is_hard_gains_no_distance():
    """``few`` finds ``high`` in the first image only, where both find it exactly."""
    every, few = [], []
    for number in range(12):
        truth = np.zeros((12, 12), int)
        truth[1:4, 1:4], truth[6:9, 6:9] = 1, 2
        found = np.where(truth == 1, 1, np.roll(truth * (truth == 2), 3 * (number > 0), 1))
        every.append((found, truth))
        few.append((found if number == 0 else found * (found == 1), truth))
    counts = {"every": count(every, REGIONS), "few": count(few, REGIONS)}
    parts, comparisons = judge_masks(counts, list(REGIONS))
    assert parts["every"]["high"]["hd95"] == pytest.approx(3 * 11 / 12)
    assert (parts["few"]["high"]["hd95"], parts["few"]["high"]["missed"]) == (0, 11)
    for region in ("high", "mean"):
        entry = comparisons["few"]["every"][region]["hd95"]
        assert (entry["difference"], entry["verdict"]) == (0, "no evidence")
    assert comparisons["few"]["every"]["mean"]["image_dice"]["verdict"] == "no evidence"


def test_a_draw_is_its_images():
    """The statistics of a draw are those of its images, each as often as it was drawn."""
    rng = np.random.default_rng(3)
    pairs = [tuple(rng.integers(0, 3, (2, 4, 4))) for _ in range(6)]
    chosen = draw(6, 5, 0)
    found = statistics(count(pairs, REGIONS), chosen)
    for row, times in zip(found, chosen, strict=True):
        repeated = [pair for pair, n in zip(pairs, times, strict=True) for _ in range(n)]
        alone = statistics(count(repeated, REGIONS), np.ones((1, len(repeated)), np.int32))
        assert np.allclose(row, alone[0], equal_nan=True)


def test_few_images():
    counts = {"a": count([(np.ones((2, 2), int), np.ones((2, 2), int))], REGIONS)}
    parts, comparisons = judge_masks(counts, list(REGIONS))
    assert parts["a"]["low"]["iou"] == 1
    assert parts["a"]["low"]["ci95"]["iou"] is None
    assert parts["a"]["high"]["iou"] is None
    assert comparisons == {"a": {}}
    assert warnings(counts, list(REGIONS)) == [
        "no label has high: left out of the means",
        "a single image gives no intervals",
    ]


def test_different_images():
    counts = {"a": count([], REGIONS), "b": arms(2)["good"]}
    with pytest.raises(ValueError, match="the same images"):
        judge_masks(counts, list(REGIONS))
