import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fusion.fusers.laplacian import Config, build, pyramid_down, pyramid_up

sides = st.integers(1, 40)


def opencv_fusion(ir, vis, levels):
    """The same rule with OpenCV's pyramids, float64."""
    details = []
    for _ in range(levels):
        pairs = []
        for image in (ir, vis):
            coarse = cv2.pyrDown(image)
            up = cv2.pyrUp(coarse, dstsize=image.shape[::-1])
            pairs.append((image - up, coarse))
        (a, ir), (b, vis) = pairs
        details.append(np.where(np.abs(a) > np.abs(b), a, b))
    fused = (ir + vis) / 2
    for detail in reversed(details):
        fused = detail + cv2.pyrUp(fused, dstsize=detail.shape[::-1])
    return fused.clip(0, 1)


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides)
def test_down_and_up_are_opencvs(height, width):
    image = np.random.default_rng(height * 41 + width).random((height, width))
    down = pyramid_down(torch.from_numpy(image))
    assert np.abs(down.numpy() - cv2.pyrDown(image)).max() <= 1e-12
    up = pyramid_up(down, height, width)
    expected = cv2.pyrUp(down.numpy(), dstsize=(width, height))
    assert np.abs(up.numpy() - expected).max() <= 1e-12


@pytest.mark.parametrize(("height", "width", "levels"), [(33, 47, 4), (64, 48, 3), (16, 16, 4)])
def test_fusion_is_opencvs(height, width, levels):
    rng = np.random.default_rng(1)
    ir, vis = rng.random((height, width)), rng.random((height, width))
    fused = build(Config(levels=levels))(
        ir=torch.from_numpy(ir)[None, None],
        vis=torch.from_numpy(vis).expand(1, 3, height, width),
    )
    assert np.abs(fused[0, 0].numpy() - opencv_fusion(ir, vis, levels)).max() <= 1e-12


def test_down_by_hand():
    row = torch.tensor([[0.0, 16.0, 32.0, 0.0]])
    # reflected: 32 16 | 0 16 32 0 | 32 16, weights 1 4 6 4 1
    assert pyramid_down(row).tolist() == [
        [(32 + 64 + 0 + 64 + 32) / 16, (0 + 64 + 192 + 0 + 32) / 16]
    ]


def test_small_images_cap_the_levels():
    ir, vis = torch.tensor(0.2).view(1, 1, 1, 1), torch.full((1, 3, 1, 1), 0.6)
    assert build(Config())(ir=ir, vis=vis).flatten().tolist() == pytest.approx([0.4] * 3, abs=1e-6)


def test_takes_the_stronger_edge():
    ir = torch.full((1, 1, 32, 32), 0.5)
    ir[..., 16:] = 0.9  # the only edge
    vis = torch.full((1, 3, 32, 32), 0.5)
    fused = build(Config(levels=1))(ir=ir, vis=vis)
    jump = (fused[..., 16] - fused[..., 15]).mean().item()
    # detail of the edge in full, of the base half: (0.4 + base jump) / 2 and base jump 0.1 to 0.3
    base = pyramid_up(pyramid_down(ir), 32, 32)
    base_jump = (base[..., 16] - base[..., 15]).mean().item()
    assert jump == pytest.approx(0.4 - base_jump / 2, abs=1e-6)


def test_levels_out_of_range():
    with pytest.raises(ValidationError):
        Config(levels=0)
