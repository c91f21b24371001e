import importlib

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fusion.color import rgb_to_ycbcr

KINDS = ["average", "maximum", "laplacian", "ir_only", "vis_only"]


def build(kind, **options):
    module = importlib.import_module(f"fusion.fusers.{kind}")
    return module.build(module.Config(**options))


def pair(height, width, seed=0, dtype=torch.float32, batch=2):
    generator = torch.Generator().manual_seed(seed)
    ir = torch.rand(batch, 1, height, width, generator=generator, dtype=dtype)
    return ir, torch.rand(batch, 3, height, width, generator=generator, dtype=dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_option_is_refused(kind):
    with pytest.raises(ValidationError):
        build(kind, colour=True)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 999))
def test_shape_range_and_batch(kind, height, width, seed):
    ir, vis = pair(height, width, seed)
    fuser = build(kind)
    fused = fuser(ir=ir, vis=vis)
    assert fused.shape == vis.shape
    assert fused.dtype == vis.dtype
    assert fused.min() >= 0
    assert fused.max() <= 1
    assert torch.equal(fused[1:], fuser(ir=ir[1:], vis=vis[1:]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_dtype(kind, dtype):
    ir, vis = pair(9, 12, dtype=dtype)
    assert build(kind)(ir=ir, vis=vis).dtype == dtype


@pytest.mark.parametrize("kind", KINDS)
def test_grey_stays_grey(kind):
    ir, vis = pair(13, 8)
    fused = build(kind)(ir=ir, vis=vis[:, :1].repeat(1, 3, 1, 1))
    assert torch.equal(fused, fused[:, :1].expand_as(fused))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_inputs_come_back(kind):
    ir = (pair(17, 20)[0] * 255).round() / 255  # whole grey levels, as decoded images have
    fused = build(kind)(ir=ir, vis=ir.repeat(1, 3, 1, 1))
    assert (fused - ir).abs().max() <= 1e-6


@pytest.mark.slow
def test_laplacian_gradient_to_both():
    ir, vis = pair(4, 5, dtype=torch.float64, batch=1)
    ir, vis = (0.45 + 0.1 * ir).requires_grad_(), (0.45 + 0.1 * vis).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: build("laplacian")(ir=a, vis=b), (ir, vis))


def test_average_gradient_is_that_of_the_unrounded_mean():
    ir, vis = pair(8, 8, dtype=torch.float64, batch=1)
    ir, vis = (0.45 + 0.1 * ir).requires_grad_(), (0.45 + 0.1 * vis).requires_grad_()
    build("average")(ir=ir, vis=vis).sum().backward()
    # all three channels follow the luminance: 3 * 1/2 from IR; VIS keeps its chroma
    assert torch.allclose(ir.grad, torch.full_like(ir, 1.5))
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    assert torch.allclose(vis.grad, 1 - 1.5 * weights.expand_as(vis))


def test_average_rounds_down_to_whole_levels():
    vis = torch.tensor([153.0, 127.0, 102.0]).view(1, 3, 1, 1) / 255
    ir = torch.full((1, 1, 1, 1), 128 / 255)
    # Y = 131.924 -> 132, (128 + 132) / 2 = 130: every channel is 1.924 levels lower
    fused = build("average")(ir=ir, vis=vis).flatten() * 255
    assert fused.tolist() == pytest.approx([151.076, 125.076, 100.076], abs=1e-3)
    ir = torch.full((1, 1, 1, 1), 129 / 255)  # (129 + 132) / 2 = 130.5 -> 130: the same
    assert torch.equal(build("average")(ir=ir, vis=vis).flatten() * 255, fused)


def test_average_agrees_with_opencv_in_integers():
    rng = np.random.default_rng(0)
    ir, vis = rng.integers(0, 256, (9, 7), np.uint8), rng.integers(90, 170, (9, 7, 3), np.uint8)
    expected = cv2.cvtColor(vis, cv2.COLOR_RGB2YCrCb)
    expected[..., 0] = (ir.astype(int) + expected[..., 0]) // 2
    expected = cv2.cvtColor(expected, cv2.COLOR_YCrCb2RGB)
    tensors = {
        "ir": torch.from_numpy(ir)[None, None],
        "vis": torch.from_numpy(vis).permute(2, 0, 1),
    }
    fused = build("average")(ir=tensors["ir"] / 255, vis=tensors["vis"][None] / 255)
    ours = (fused[0] * 255).round().permute(1, 2, 0).numpy()
    # OpenCV also rounds the chroma to whole levels, by up to 1/2 * 1.772
    assert np.abs(ours - expected).max() <= 1.5


def test_maximum_is_the_larger_luminance():
    vis = torch.tensor([0.6, 0.5, 0.4]).view(1, 3, 1, 1)
    dark, bright = torch.full((1, 1, 1, 1), 0.2), torch.full((1, 1, 1, 1), 0.7)
    assert torch.allclose(build("maximum")(ir=dark, vis=vis), vis, atol=1e-6)
    fused = build("maximum")(ir=bright, vis=vis)
    assert fused.flatten().tolist() == pytest.approx([0.7815, 0.6815, 0.5815], abs=1e-6)
    assert rgb_to_ycbcr(fused)[0].item() == pytest.approx(0.7, abs=1e-6)


def test_ir_only_repeats_and_vis_only_passes():
    ir, vis = pair(5, 7)
    assert torch.equal(build("ir_only")(ir=ir, vis=vis), torch.cat((ir, ir, ir), dim=1))
    assert torch.equal(build("vis_only")(ir=ir, vis=vis), vis)
