"""Intervals over images and seeds."""

import numpy as np
import pytest
from scipy.stats import norm, t

from training.finetune.summary import over_seeds


def test_one_seed_is_itself():
    values = np.random.default_rng(0).random((5, 1, 4))
    assert np.array_equal(over_seeds(values, np.zeros((5, 1), int)), values[:, 0])


def test_by_hand():
    """Of three seeds the mean of 1, 1 and 2 is 4/3; its distance from 2 is widened 2.69 times."""
    values = np.array([1.0, 2.0, 3.0])[None, :, None]
    widened = np.sqrt(3 / 2) * t.ppf(0.975, 2) / norm.ppf(0.975)
    assert widened == pytest.approx(2.689, abs=1e-3)
    found = over_seeds(values, np.array([[0, 0, 1]]))
    assert found[0, 0] == pytest.approx(2 - widened * 2 / 3)
    assert over_seeds(values, np.array([[0, 1, 2]]))[0, 0] == pytest.approx(2)


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_the_spread_is_that_of_students_interval(seeds):
    """The drawn means have the standard error of the seeds' mean, times t / z."""
    rng = np.random.default_rng(seeds)
    trainings = rng.normal(size=seeds)
    picked = rng.integers(seeds, size=(200_000, seeds))
    drawn = over_seeds(np.broadcast_to(trainings[None, :, None], (200_000, seeds, 1)), picked)
    error = trainings.std(ddof=1) / np.sqrt(seeds)
    assert drawn.std() * norm.ppf(0.975) == pytest.approx(t.ppf(0.975, seeds - 1) * error, rel=0.01)
    assert drawn.mean() == pytest.approx(trainings.mean(), abs=0.02 * error * 10)
