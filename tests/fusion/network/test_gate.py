"""The gate's formula by hand, and that it can't show the blocks it was computed in."""

import math

import pytest
import torch

from fusion.network.gate import blend


def maps(a, b, size=(2, 3)):
    return torch.tensor([a, b]).reshape(1, 2, 1, 1).expand(1, 2, *size)


def pair(height=8, width=12):
    return {
        "ir": torch.full((1, 1, height, width), 0.8),
        "vis": torch.full((1, 1, height, width), 0.2),
    }


def test_zero_is_the_mean():
    ir, vis = torch.rand(2, 1, 1, 8, 12).unbind(0)
    assert torch.equal(blend(maps(0.0, 0.0), ir=ir, vis=vis), torch.lerp(vis, ir, 0.5))


@pytest.mark.parametrize(("a", "b"), [(1.0, 0.0), (-0.5, 0.3), (9.0, -9.0)])
def test_by_hand(a, b):
    gate = 1 / (1 + math.exp(-2 * a))
    expected = gate * 0.8 + (1 - gate) * 0.2 + 0.3 * math.tanh(b)
    assert blend(maps(a, b), **pair()) == pytest.approx(torch.full((1, 1, 8, 12), expected))


def test_maps_are_brought_up_linearly():
    """A step between two cells becomes a ramp between their centres, 4 pixels wide."""
    steps = torch.zeros(1, 2, 1, 2)
    steps[..., 1] = 0.1  # small, so that the gate is nearly linear
    row = blend(steps, ir=torch.ones(1, 1, 4, 8), vis=torch.zeros(1, 1, 4, 8))[0, 0, 0]
    change = (row - row[0]) / (row[-1] - row[0])
    assert change.tolist() == pytest.approx([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1], abs=0.01)


def test_half_precision_maps_keep_the_images():
    ir, vis = torch.rand(2, 1, 1, 8, 12).unbind(0)
    fused = blend(maps(0.0, 0.0).to(torch.bfloat16), ir=ir, vis=vis)
    assert fused.dtype == torch.float32
    assert torch.equal(fused, torch.lerp(vis, ir, 0.5))
