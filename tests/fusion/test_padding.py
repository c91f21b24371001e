import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.padding import crop, pad_mirrored, pad_to_multiple, reflected_index

sides = st.integers(1, 70)


def test_hand_worked():
    row = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    padded = pad_to_multiple(row, 8)
    assert padded.shape == (1, 1, 8, 8)
    assert padded[0, 0, 0].tolist() == [1, 2, 3, 2, 1, 2, 3, 2]
    assert (padded == padded[:, :, :1]).all()  # one row repeats


def test_index_on_both_sides():
    index = reflected_index(3, 5, 2, torch.device("cpu"))  # places −5 to 4
    assert index.tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0]
    assert reflected_index(1, 2, 2, torch.device("cpu")).tolist() == [0] * 5


@settings(max_examples=60, deadline=None)
@given(
    height=sides, width=sides, multiple=st.sampled_from([2, 5, 32]), margin=st.sampled_from([0, 3])
)
def test_inverse_and_numpy(height, width, multiple, margin):
    image = torch.rand(2, 3, height, width)
    padded = pad_to_multiple(image, multiple, margin)
    after = [margin + -(size + 2 * margin) % multiple for size in (height, width)]
    widths = ((0, 0), (0, 0), (margin, after[0]), (margin, after[1]))
    expected = np.pad(image.numpy(), widths, "reflect")
    assert np.array_equal(padded.numpy(), expected)
    assert torch.equal(crop(padded, height, width, margin), image)


def test_mirrored_by_hand():
    row = torch.tensor([[1.0, 2.0, 3.0]])
    padded = pad_mirrored(row, 8)
    assert padded.shape == (8, 8)
    assert padded[0].tolist() == [1, 2, 3, 3, 2, 1, 1, 2]
    assert (padded == padded[:1]).all()


@settings(max_examples=40, deadline=None)
@given(height=sides, width=sides, multiple=st.sampled_from([2, 8]))
def test_mirrored_inverse_and_numpy(height, width, multiple):
    image = torch.rand(2, 3, height, width)
    padded = pad_mirrored(image, multiple)
    after = [multiple - size % multiple for size in (height, width)]  # also of multiples
    expected = np.pad(image.numpy(), ((0, 0), (0, 0), *((0, n) for n in after)), "symmetric")
    assert np.array_equal(padded.numpy(), expected)
    assert torch.equal(crop(padded, height, width), image)


def test_multiple_is_left_alone():
    image = torch.rand(1, 1, 64, 32)
    assert pad_to_multiple(image, 32) is image


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_dtype_is_kept(dtype):
    assert pad_to_multiple(torch.ones(1, 1, 3, 5, dtype=dtype), 32).dtype == dtype


def test_gradient():
    image = torch.rand(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: pad_to_multiple(x, 7), image)
