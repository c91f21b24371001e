"""Rank correlation by hand, and what isn't defined."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from eval.quality.correlation import correlate, detection_gain


def test_by_hand():
    """Ranks 1 2 3 4 5 against 2 1 4 3 5: rho = 1 - 6 * 4 / (5 * 24) = 0.8."""
    one = correlate({"en": np.array([1, 2, 3, 4, 50.0])}, np.array([0.2, 0.1, 0.4, 0.3, 0.5]))["en"]
    assert one.rho == pytest.approx(0.8)
    assert one.images == 5
    reach = 1.959964 * np.sqrt(1.06 / 2)
    assert one.ci95 == pytest.approx(np.tanh(np.arctanh(0.8) + np.array([-reach, reach])))


def test_agrees_with_scipy_where_values_are_equal():
    rng = np.random.default_rng(0)
    metric, gain = rng.integers(0, 6, (2, 40)).astype(float)
    one = correlate({"en": metric}, gain)["en"]
    assert one.rho == pytest.approx(spearmanr(metric, gain).statistic, abs=1e-14)


def test_images_without_a_number_are_left_out():
    metric = np.array([np.nan, 1, 2, 3, 4, 5, np.inf, 6])
    gain = np.array([9, 6, 5, 4, 3, 2, 8, np.nan])
    one = correlate({"psnr": metric}, gain)["psnr"]
    assert (one.rho, one.ci95, one.images) == (-1.0, None, 5)


@pytest.mark.parametrize(
    ("metric", "gain"),
    [([1, 2, 3, 4], [1, 2, 3, 4]), ([1] * 6, range(6)), (range(6), [0] * 6), ([], [])],
)
def test_undefined(metric, gain):
    one = correlate({"en": np.array(metric, float)}, np.array(gain, float))["en"]
    assert (one.rho, one.ci95, one.images) == (None, None, len(metric))


def test_gain_is_over_the_mean_of_the_sources():
    gain = detection_gain(np.array([1.0]), np.array([0.5]), np.array([0.0]))
    assert gain.tolist() == [0.75]
