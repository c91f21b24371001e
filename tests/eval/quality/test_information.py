"""EN and MI: against scikit-image and scikit-learn, and by hand."""

import numpy as np
import pytest
from skimage.measure import shannon_entropy


def test_entropy_agrees_with_scikit_image(measure, photos):
    assert measure(*photos)["en"] == pytest.approx(shannon_entropy(photos[2]), rel=1e-12)


def test_mutual_information_agrees_with_scikit_learn(measure, photos):
    from sklearn.metrics import mutual_info_score  # a second, which only this process takes

    ir, vis, fused = (image.ravel() for image in photos)
    nats = mutual_info_score(ir, fused) + mutual_info_score(vis, fused)
    assert measure(*photos)["mi"] == pytest.approx(nats / np.log(2), rel=1e-10)


def test_four_equally_frequent_levels_are_two_bits(measure):
    fused = [[0, 10, 20, 255]] * 3
    flat = np.zeros((3, 4))
    assert measure(flat, flat, fused)["en"] == pytest.approx(2)


def test_every_level_once_is_eight_bits_and_each_source_tells_all_of_them(measure):
    fused = np.arange(256).reshape(16, 16)
    result = measure(255 - fused, fused, fused)
    assert result["en"] == pytest.approx(8)
    assert result["mi"] == pytest.approx(16)


def test_independent_images_share_nothing(measure):
    fused = [[0, 1], [0, 1]]
    source = [[7, 7], [9, 9]]
    assert measure(source, source, fused)["mi"] == pytest.approx(0, abs=1e-12)


def test_half_of_the_information_of_one_source(measure):
    fused = [[0, 1, 2, 3]] * 2
    ir = [[5, 5, 6, 6]] * 2  # tells the upper bit
    assert measure(ir, np.zeros((2, 4)), fused)["mi"] == pytest.approx(1)
