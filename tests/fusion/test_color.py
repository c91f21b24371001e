import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.color import fuse_luminance, rgb_to_ycbcr, ycbcr_to_rgb


def image(*rgb):
    return torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("rgb", "y", "cb", "cr"),
    [
        ((0, 0, 0), 0, 0, 0),
        ((1, 1, 1), 1, 0, 0),
        ((1, 0, 0), 0.299, -0.299 / 1.772, 0.5),
        ((0, 0, 1), 0.114, 0.5, -0.114 / 1.402),
        ((0, 1, 0), 0.587, -0.587 / 1.772, -0.587 / 1.402),
    ],
)
def test_hand_worked(rgb, y, cb, cr):
    luminance, chroma = rgb_to_ycbcr(image(*rgb))
    assert luminance.item() == pytest.approx(y, abs=1e-12)
    assert chroma.flatten().tolist() == pytest.approx([cb, cr], abs=1e-12)


def test_opencv():
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    ycrcb = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float64)
    y, cbcr = rgb_to_ycbcr(torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255.0)
    assert np.abs(255 * y[0, 0].numpy() - ycrcb[..., 0]).max() <= 1
    assert np.abs(255 * cbcr[0, 0].numpy() + 128 - ycrcb[..., 2]).max() <= 1
    assert np.abs(255 * cbcr[0, 1].numpy() + 128 - ycrcb[..., 1]).max() <= 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_round_trip(seed, dtype):
    rgb = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    y, cbcr = rgb_to_ycbcr(rgb)
    assert y.dtype == cbcr.dtype == dtype
    assert cbcr.abs().max() <= 0.5
    assert (ycbcr_to_rgb(y, cbcr) - rgb).abs().max() <= 1e-6


def test_round_trip_bfloat16():
    rgb = torch.rand(1, 3, 32, 32).to(torch.bfloat16)
    back = ycbcr_to_rgb(*rgb_to_ycbcr(rgb))
    assert back.dtype == torch.bfloat16
    assert (back.float() - rgb.float()).abs().max() <= 2**-6  # four roundings of 2^-8 near 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_grey_stays_grey_exactly(dtype):
    grey = (torch.arange(256) / 255).to(dtype).view(1, 1, 16, 16)
    vis = grey.repeat(1, 3, 1, 1)
    y, cbcr = rgb_to_ycbcr(vis)
    assert torch.equal(y, grey)
    assert not cbcr.any()
    fused = fuse_luminance(lambda *, ir, vis: 0.3 * ir + 0.7 * vis, ir=grey.flip(-1), vis=vis)
    assert torch.equal(fused, fused[:, :1].expand_as(fused))


def test_result_is_clamped():
    rgb = ycbcr_to_rgb(torch.ones(1, 1, 1, 1), torch.tensor([0.5, -0.5]).view(1, 2, 1, 1))
    assert rgb.flatten().tolist() == pytest.approx([0.299, 1.0, 1.0], abs=1e-6)


def test_chroma_of_vis_and_luminance_of_the_fuser():
    vis = image(0.6, 0.5, 0.4)
    fused = fuse_luminance(
        lambda *, ir, vis: ir, ir=torch.full((1, 1, 1, 1), 0.7, dtype=torch.float64), vis=vis
    )
    # Y of vis is 0.5185; the three channels move together
    assert fused.flatten().tolist() == pytest.approx([0.7815, 0.6815, 0.5815], abs=1e-9)


def test_gradient():
    ir = torch.rand(1, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    vis = (0.4 + 0.2 * torch.rand(1, 3, 2, 3, dtype=torch.float64)).requires_grad_()

    def fuse(ir, vis):
        return fuse_luminance(lambda *, ir, vis: 0.2 * ir + 0.4 + 0.2 * vis, ir=ir, vis=vis)

    assert torch.autograd.gradcheck(fuse, (ir, vis))
