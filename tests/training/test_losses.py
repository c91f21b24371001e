from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch.autograd import gradcheck

from training import config
from training.losses import (
    PRESETS,
    Terms,
    Weights,
    fusion_terms,
    gradient,
    intensity_loss,
    outside_loss,
    ssim,
    structure_loss,
    texture_loss,
)


def images(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.random((count, 1, height, width)))


def full(value, height=4, width=5):
    return torch.full((2, 1, height, width), value, dtype=torch.float64)


def ramp(right, down, height=6, width=7):
    """Grows by so much from pixel to pixel."""
    y, x = torch.meshgrid(
        torch.arange(height).double(), torch.arange(width).double(), indexing="ij"
    )
    return (right * x + down * y)[None, None]


def test_intensity_by_hand():
    # (0.2 - max(0.5, 0.3))^2 everywhere, or only where the first is larger
    assert intensity_loss(full(0.2), full(0.5), full(0.3)) == pytest.approx(0.09)
    fused = full(0.3)
    first = full(0.3)
    first[1, 0, 2, 3] = 0.8
    assert intensity_loss(fused, first, full(0.1)) == pytest.approx(0.25 / 40)


def test_gradient_by_hand():
    # Sobel sums 1 + 2 + 1 differences over two pixels: 8 times the slope
    assert torch.allclose(gradient(ramp(0.05, 0.0)), full(0.4)[:1].new_full((1, 1, 4, 5), 0.4))
    both = gradient(ramp(-0.05, 0.1))
    assert torch.allclose(both, torch.full((1, 1, 4, 5), 1.2, dtype=torch.float64))


def test_gradient_is_opencvs_sobel():
    image = images(1, 20, 31)
    plane = image[0, 0].numpy()
    expected = np.abs(cv2.Sobel(plane, -1, 1, 0)) + np.abs(cv2.Sobel(plane, -1, 0, 1))
    assert gradient(image)[0, 0].numpy() == pytest.approx(expected[1:-1, 1:-1], abs=1e-12)


def test_texture_by_hand():
    # |grad| 0.4 to the right and 0.8 down: the larger is wanted, whatever its direction
    ir, vis = ramp(0.05, 0.0), ramp(0.0, 0.1)
    assert texture_loss(ramp(0.0, 0.0), ir, vis) == pytest.approx(0.8)
    assert texture_loss(ramp(0.025, 0.0), ir, vis) == pytest.approx(0.6)
    assert texture_loss(ramp(-0.1, 0.0), ir, vis) == pytest.approx(0.0)


@pytest.mark.parametrize("size", [(11, 11), (24, 40), (33, 17)])
def test_ssim_is_scikit_images(size):
    first, noise = images(3, *size), images(3, *size, seed=1)
    second = 0.7 * first + 0.3 * noise
    expected = [
        structural_similarity(
            a[0].numpy(),
            b[0].numpy(),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
        )
        for a, b in zip(first, second, strict=True)
    ]
    assert ssim(first, second).numpy() == pytest.approx(np.array(expected), abs=1e-12)


def test_ssim_of_constants_by_hand():
    # no variance: (2 a b + C1) / (a^2 + b^2 + C1)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert ssim(full(0.2, 12, 13), full(0.6, 12, 13)).tolist() == pytest.approx([expected] * 2)


def test_structure_is_half_of_both():
    ir, vis, fused = images(2, 16, 16), images(2, 16, 16, seed=1), images(2, 16, 16, seed=2)
    expected = (1 - ssim(ir, fused).mean()) / 2 + (1 - ssim(vis, fused).mean()) / 2
    assert structure_loss(fused, ir, vis) == pytest.approx(expected.item())
    assert structure_loss(ir, ir, ir) == pytest.approx(0.0, abs=1e-12)


def test_float32_is_close_to_float64():
    ir, vis = 0.98 + 0.02 * images(2, 32, 32), images(2, 32, 32, seed=1)
    fused = (ir + vis) / 2
    exact = fusion_terms(fused, ir=ir, vis=vis)
    single = fusion_terms(fused.float(), ir=ir.float(), vis=vis.float())
    assert [term.item() for term in single] == pytest.approx([term.item() for term in exact], 1e-4)


def test_total_is_weighted():
    terms = Terms(*torch.tensor([0.5, 0.25, 0.125]))
    assert PRESETS["journal-ir-vis"].total(terms) == 50 + 2.5 + 0.125
    assert PRESETS["journal-ct-mri"].total(terms) == 10 + 2.5 + 1.25
    assert PRESETS["arxiv-v1"].total(terms) == 0.5 + 0.25 + 1.25


def test_the_configuration_offers_all_presets():
    assert set(get_args(config.PaperLoss)) == set(PRESETS)


@pytest.mark.parametrize(
    "loss", [intensity_loss, texture_loss, structure_loss], ids=lambda loss: loss.__name__
)
def test_gradients_of_the_terms(loss):
    ir, vis = images(1, 12, 13), images(1, 12, 13, seed=1)
    fused = images(1, 12, 13, seed=2).requires_grad_()
    assert gradcheck(lambda image: loss(image, ir, vis), fused)


def test_gradient_of_the_total():
    ir, vis = images(2, 11, 12), images(2, 11, 12, seed=1)
    fused = images(2, 11, 12, seed=2).requires_grad_()
    weights = Weights(100.0, 10.0, 1.0)
    assert gradcheck(lambda image: weights.total(fusion_terms(image, ir=ir, vis=vis)), fused)


def test_outside_is_what_neither_image_shows():
    first = torch.tensor([0.2, 0.2, 0.2, 0.2]).reshape(1, 1, 2, 2)
    second = torch.tensor([0.6, 0.6, 0.6, 0.6]).reshape(1, 1, 2, 2)
    fused = torch.tensor([0.2, 0.4, 0.7, 0.0]).reshape(1, 1, 2, 2)
    # 0 and 0 between them, 0.1 above, 0.2 below
    found = outside_loss(fused, first, second)
    assert found.item() == pytest.approx((0.1**2 + 0.2**2) / 4)


@given(st.floats(0, 1))
def test_no_choice_between_the_images_is_outside(share):
    first, second = torch.rand(2, 1, 1, 8, 8)
    fused = torch.lerp(first, second, share)
    assert outside_loss(fused, first, second).item() == pytest.approx(0, abs=1e-12)
