"""SSIM, MS-SSIM and VIF: against scikit-image, torchmetrics and piq."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity


def tensor(image):
    return torch.tensor(image.astype(np.float64))[None, None]


def multiscale(a, b):
    import piq  # seconds, which only this process takes

    return piq.multi_scale_ssim(tensor(a), tensor(b), data_range=255, reduction="none").item()


def vif_of_piq(fused, source):
    import piq

    return piq.vif_p(tensor(fused), tensor(source), data_range=255, reduction="none").item()


def slow_multiscale(a, b):
    """Written out with SciPy, an odd last row or column dropped."""

    def mean(x):
        return gaussian_filter(x, 1.5, truncate=3.5)

    c1, c2 = 2.55**2, 7.65**2
    result = 1
    for weight in (0.0448, 0.2856, 0.3001, 0.2363, 0.1333):
        variances = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
        kept = (2 * (mean(a * b) - mean(a) * mean(b)) + c2) / (variances + c2)
        if weight == 0.1333:
            kept *= (2 * mean(a) * mean(b) + c1) / (mean(a) ** 2 + mean(b) ** 2 + c1)
        result *= kept[5:-5, 5:-5].mean() ** weight
        height, width = a.shape[0] // 2 * 2, a.shape[1] // 2 * 2
        a, b = (sum(x[i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)) / 4 for x in (a, b))
    return result


def test_ssim_agrees_with_scikit_image(measure, photos):
    ir, vis, fused = photos

    def ssim(a):
        return structural_similarity(
            a, fused, data_range=255, gaussian_weights=True, use_sample_covariance=False
        )

    assert measure(*photos)["ssim"] == pytest.approx(ssim(ir) + ssim(vis), rel=1e-9)


@pytest.mark.parametrize("size", [(176, 176), (176, 208)])
def test_ms_ssim_agrees_with_piq(measure, photos, size):
    """At sizes that can be halved four times; piq pads others."""
    ir, vis, fused = (image[: size[0], : size[1]] for image in photos)
    expected = (multiscale(ir, fused) + multiscale(vis, fused)) / 2
    assert measure(ir, vis, fused)["ms_ssim"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [(176, 176), (190, 220), (177, 191)])
def test_ms_ssim_agrees_with_the_slow_reference(measure, photos, size):
    ir, vis, fused = (image[: size[0], : size[1]].astype(float) for image in photos)
    expected = (slow_multiscale(ir, fused) + slow_multiscale(vis, fused)) / 2
    assert measure(ir, vis, fused)["ms_ssim"] == pytest.approx(expected, rel=1e-9)


def test_ms_ssim_of_a_negative_is_zero(measure, photos):
    ir = photos[0]
    assert multiscale(ir[:176, :208], 255 - ir[:176, :208]) == 0
    assert measure(ir, ir, 255 - ir)["ms_ssim"] == 0


@pytest.mark.parametrize("size", [(41, 41), (42, 63), (190, 220)])
def test_vif_agrees_with_piq_and_torchmetrics(measure, photos, size):
    from torchmetrics.functional.image import visual_information_fidelity

    ir, vis, fused = (image[: size[0], : size[1]] for image in photos)
    ours = measure(ir, vis, fused)["vif"]
    expected = sum(vif_of_piq(fused, a) for a in (ir, vis))
    assert ours == pytest.approx(expected, rel=1e-6)
    other = sum(visual_information_fidelity(tensor(fused), tensor(a)).item() for a in (ir, vis))
    assert ours == pytest.approx(other, rel=1e-6)


def test_vif_with_flat_parts_agrees_with_piq(measure, photos):
    """Where a window has no variance: in the source, in the fused image, in both."""
    ir, vis, fused = (image.copy() for image in photos)
    ir[:, :60] = 255
    vis[100:] = 3
    fused[60:] = 254
    expected = sum(vif_of_piq(fused, a) for a in (ir, vis))
    assert measure(ir, vis, fused)["vif"] == pytest.approx(expected, rel=1e-6)


def test_fused_equal_to_both_sources(measure, photos):
    result = measure(photos[0], photos[0], photos[0])
    assert (result["ssim"], result["ms_ssim"]) == pytest.approx((2, 1))
    assert result["vif"] == pytest.approx(2)


def test_more_contrast_gives_a_vif_over_one_for_each_source(measure, photos):
    ir = photos[0] // 2
    assert measure(ir, ir, ir * 2)["vif"] > 2.1


@pytest.mark.parametrize(
    ("key", "smallest"), [("ssim", 11), ("vif", 41), ("ms_ssim", 176), ("fmi", 3)]
)
def test_smallest_sides(measure, photos, key, smallest):
    large = 190
    for height, width in ((smallest, large), (large, smallest)):
        assert not math.isnan(measure(*(i[:height, :width] for i in photos))[key])
    for height, width in ((smallest - 1, large), (large, smallest - 1)):
        assert math.isnan(measure(*(i[:height, :width] for i in photos))[key])


@pytest.mark.parametrize("level", [0, 1, 127, 255])
def test_constant_source_has_no_information(measure, photos, level):
    flat = np.full_like(photos[0], level)
    assert math.isnan(measure(flat, photos[1], photos[2])["vif"])
    assert math.isnan(measure(photos[0], flat, photos[2])["vif"])
    assert measure(photos[0], photos[1], flat)["vif"] == pytest.approx(0, abs=1e-9)
