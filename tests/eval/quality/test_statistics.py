"""SD, SF, AG, CC, SCD and PSNR: against NumPy and scikit-image, and by hand."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio


def test_agree_with_numpy(measure, photos):
    ir, vis, fused = (image.astype(float) for image in photos)
    result = measure(*photos)
    assert result["sd"] == pytest.approx(fused.std(), rel=1e-12)
    y, x = np.gradient(fused)
    assert result["ag"] == pytest.approx(np.sqrt((x**2 + y**2) / 2).mean(), rel=1e-12)

    def r(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    assert result["cc"] == pytest.approx((r(ir, fused) + r(vis, fused)) / 2, rel=1e-10)
    assert result["scd"] == pytest.approx(r(fused - vis, ir) + r(fused - ir, vis), rel=1e-10)


def test_equal_sources_have_the_ratio_of_scikit_image(measure, photos):
    ir, _, fused = photos
    expected = peak_signal_noise_ratio(ir, fused, data_range=255)
    assert measure(ir, ir, fused)["psnr"] == pytest.approx(expected, rel=1e-12)


def test_two_sources_errors_are_averaged_before_the_logarithm(measure):
    fused = np.full((2, 2), 100)
    result = measure(fused + 1, fused - 3, fused)  # squared errors 1 and 9
    assert result["psnr"] == pytest.approx(10 * math.log10(255**2 / 5))


def test_black_against_white_is_zero_decibels(measure):
    assert measure(np.zeros((4, 4)), np.zeros((4, 4)), np.full((4, 4), 255))["psnr"] == 0


def test_half_black_half_white_has_the_largest_deviation(measure):
    fused = [[0, 255], [0, 255]]
    result = measure(fused, fused, fused)
    assert result["sd"] == 127.5
    # Two differences of 255 along the rows, two of 0 along the columns.
    assert result["sf"] == 255
    assert result["ag"] == pytest.approx(255 / math.sqrt(2))


def test_spatial_frequency_averages_over_the_differences(measure):
    fused = [[0, 3, 3], [4, 7, 7]]
    # Rows: 3, 0, 3, 0; columns: 4, 4, 4.
    result = measure(fused, fused, fused)
    assert result["sf"] == pytest.approx(math.sqrt((9 + 9) / 4 + 16))
    # Along x 3, 1.5, 0 in both rows, along y 4 everywhere.
    strengths = [math.sqrt((x**2 + 16) / 2) for x in (3, 1.5, 0)]
    assert result["ag"] == pytest.approx(sum(strengths) / 3)


def test_negative_of_both_sources(measure, noise):
    ir = noise[0]
    result = measure(ir, ir, 255 - ir)
    assert result["cc"] == pytest.approx(-1)
    # F − A = 255 − 2 A.
    assert result["scd"] == pytest.approx(-2)


def test_halved_sum_of_uncorrelated_sources(measure):
    ir, vis = np.array([[0, 0], [100, 100]]), np.array([[0, 100], [0, 100]])
    # F − B = (A − B) / 2, whose correlation with A is 1 / √2; so for the other source.
    result = measure(ir, vis, (ir + vis) // 2)
    assert result["scd"] == pytest.approx(math.sqrt(2))
    assert result["cc"] == pytest.approx(1 / math.sqrt(2))


def test_sum_of_the_sources_has_all_that_each_can_give(measure):
    ir, vis = np.array([[0, 0], [100, 100]]), np.array([[0, 30], [0, 30]])
    assert measure(ir, vis, ir + vis)["scd"] == pytest.approx(2)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_constant_image_has_no_correlation(measure, noise, which):
    images = list(noise)
    images[which] = np.full_like(noise[0], 91)
    result = measure(*images)
    assert math.isnan(result["cc"])
    assert math.isnan(result["scd"]) == (which < 2)


def test_constant_difference_has_no_correlation(measure):
    ir = np.arange(12).reshape(3, 4) % 7
    assert math.isnan(measure(ir, ir[::-1], ir + 41)["scd"])


def test_equal_images_have_no_ratio(measure, noise):
    assert math.isnan(measure(noise[0], noise[0], noise[0])["psnr"])
    assert not math.isnan(measure(noise[0], noise[1], noise[0])["psnr"])
