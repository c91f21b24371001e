"""Counts of detections over time, by hand and by their laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.agreement import agreement, counts_over_time
from tests.eval.predictions import BOX, FAR, IDS, images, predictions

# Counts over time


def test_an_image_a_bin():
    found = {"a": predictions((3, 0, 0.5, *BOX), (40, 0, 0.9, *BOX), (3, 2, 0.6, *FAR)), "b": []}
    result = counts_over_time(images(40, -7, 3), found, confidence=0.25)
    assert result.edges.tolist() == [0, 1, 2, 3]
    assert result.edges.dtype == np.int64
    assert list(result.counts) == ["a", "b"]
    assert result.counts["a"].tolist() == [1.0, 0.0, 2.0]
    assert result.counts["b"].tolist() == [0.0, 0.0, 0.0]
    assert result.counts["b"].dtype == np.float64


def test_bins_are_means_over_all_their_images():
    """Five images in two bins: two images with three detections, three with one."""
    found = predictions(*[(i, 0, 0.5, *BOX) for i in (40, 40, -7, 0)])
    result = counts_over_time(images(*IDS[:5]), {"a": found}, confidence=0.5, bins=2)
    assert result.edges.tolist() == [0, 2, 5]
    assert result.counts["a"].tolist() == [1.5, 1 / 3]


def test_counts_at_the_confidence():
    found = {"a": predictions((1, 0, 0.3, *BOX), (1, 0, 0.29, *BOX), (1, 0, 1.0, *BOX))}
    assert counts_over_time(images(1), found, confidence=0.3).counts["a"].tolist() == [2.0]


def test_counts_of_nothing():
    result = counts_over_time([], {"a": []}, confidence=0.25)
    assert result.edges.tolist() == [0]
    assert result.counts["a"].tolist() == []
    result = counts_over_time(images(*IDS), {}, confidence=0.25, bins=2)
    assert result.edges.tolist() == [0, 3, 6]
    assert result.counts == {}


@pytest.mark.parametrize("bins", [0, -1])
def test_bins_must_be_positive(bins):
    with pytest.raises(ValueError, match="bins"):
        counts_over_time(images(1), {}, confidence=0.25, bins=bins)


def test_detections_of_another_image_are_refused():
    found = {"a": predictions((2, 0, 0.5, *BOX))}
    with pytest.raises(KeyError, match="2"):
        counts_over_time(images(1), found, confidence=0.25)
    with pytest.raises(KeyError, match="2"):
        agreement(images(1), found, confidence=0.25)
    unsure = {"a": predictions((2, 0, 0.1, *BOX))}
    with pytest.raises(KeyError, match="2"):
        counts_over_time(images(1), unsure, confidence=0.25)


@settings(deadline=None)
@given(
    n=st.integers(1, 60),
    bins=st.integers(1, 70),
    where=st.lists(st.tuples(st.integers(0, 59), st.sampled_from([0.1, 0.25, 0.7]))),
)
def test_bins_add_up(n, bins, where):
    where = [(place % n, score) for place, score in where]
    ids = np.random.default_rng(n).permutation(10 * n)[:n].tolist()
    found = predictions(*[(ids[place], 0, score, *BOX) for place, score in where])
    result = counts_over_time(images(*ids), {"a": found}, confidence=0.25, bins=bins)
    sizes = np.diff(result.edges)
    assert (result.edges[0], result.edges[-1]) == (0, n)
    assert len(sizes) == min(n, bins)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.min() >= 1
    sure = [place for place, score in where if score >= 0.25]
    inside = [
        sum(low <= place < high for place in sure)
        for low, high in zip(result.edges[:-1], result.edges[1:], strict=True)
    ]
    np.testing.assert_allclose(result.counts["a"] * sizes, inside, rtol=1e-12)
    assert (result.counts["a"] * sizes).sum() == pytest.approx(len(sure))
