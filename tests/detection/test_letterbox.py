import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.letterbox import Letterbox, resize_matrix

SIDES = st.integers(16, 700)


def fit(height, width, image_size=640, pad=0.5, resize="val"):
    return Letterbox.fit(height, width, image_size=image_size, pad=pad, resize=resize)


def test_paper_msrs_input_is_512_by_672():
    box = fit(480, 640)
    assert (box.input_height, box.input_width) == (512, 672)
    assert (box.top, box.left) == (16, 16)


def test_detect_shrinks_bus_to_640_by_480():
    box = fit(1080, 810, pad=0)
    assert (box.scaled_height, box.scaled_width) == (640, 480)
    assert (box.input_height, box.input_width) == (640, 480)


def test_unscaled_image_is_kept_and_framed_in_grey():
    image = torch.arange(96, dtype=torch.uint8).reshape(1, 1, 8, 12).repeat(1, 3, 1, 1)
    box = fit(8, 12, image_size=12, pad=0)
    out = box.apply(image)  # [1, 3, 32, 32]
    assert out.shape == (1, 3, 32, 32)
    inside = out[..., box.top : box.top + 8, box.left : box.left + 12]
    assert torch.equal((inside * 255).round().to(torch.uint8), image)
    assert out[0, 0, 0, 0] == pytest.approx(114 / 255)


@pytest.mark.parametrize("size", [(329, 500), (1024, 1280), (481, 643), (100, 37)])
@pytest.mark.parametrize("resize", ["val", "detect"])
def test_scaling_agrees_with_opencv(size, resize):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    box = fit(*size, resize=resize)
    smaller = box.scaled_height < size[0]
    method = cv2.INTER_AREA if smaller and resize == "val" else cv2.INTER_LINEAR
    expected = cv2.resize(image, (box.scaled_width, box.scaled_height), interpolation=method)
    out = box.apply(torch.from_numpy(image).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    inside = out[box.top : box.top + box.scaled_height, box.left : box.left + box.scaled_width]
    # OpenCV interpolates 8-bit images in fixed point: it may round the other way
    assert np.abs(np.rint(inside * 255) - expected.astype(float)).max() <= 1


@given(SIDES, SIDES, st.sampled_from([160, 320, 640]), st.sampled_from([0.0, 0.5]))
@settings(max_examples=60, deadline=None)
def test_undo_inverts_the_placement(height, width, image_size, pad):
    box = fit(height, width, image_size=image_size, pad=pad)
    assert box.input_height % 32 == box.input_width % 32 == 0
    corners = torch.tensor([[0.0, 0.0, width, height]])
    gain = torch.tensor([box.scaled_width / width, box.scaled_height / height]).repeat(2)
    placed = corners * gain + torch.tensor([box.left, box.top, box.left, box.top])
    assert torch.allclose(box.undo(placed), corners, atol=1e-3)


def test_undo_clips_to_the_image():
    box = fit(480, 640)
    assert box.undo(torch.tensor([[-50.0, 0.0, 9999.0, 9999.0]])).tolist() == [[0, 0, 640, 480]]


@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["val", "detect"]))
def test_resize_matrix_keeps_constants(size, new_size, resize):
    matrix = resize_matrix(size, new_size, resize)
    assert matrix.shape == (new_size, size)
    assert torch.allclose(matrix.sum(1), torch.ones(new_size), atol=1e-6)
    assert (matrix >= 0).all()


def test_float_images_are_differentiable():
    image = torch.rand(1, 3, 20, 30, requires_grad=True)
    fit(20, 30, image_size=64).apply(image).sum().backward()
    assert image.grad is not None
    assert (image.grad > 0).all()
