"""The measure of visible patches, by hand."""

import pytest
import torch

from tools.grid import patch_variance


def test_it_is_the_variance_of_the_places_of_a_patch():
    first, second = torch.rand(2, 2, 1, 32, 64).unbind(0)
    mean = (first + second) / 2
    assert patch_variance(mean + 0.3, first, second).item() == pytest.approx(0, abs=1e-12)
    lines = torch.tensor([0.02, 0.0, 0.0, 0.0]).repeat(8)[:, None]  # one row of each patch
    found = patch_variance(mean + lines, first, second).item()
    assert found == pytest.approx(0.25 * 0.75 * 0.02**2, rel=1e-3)  # p (1 - p) a²


def test_whole_patches_are_no_pattern():
    first, second = torch.rand(2, 1, 1, 64, 64).unbind(0)
    fused = (first + second) / 2
    fused[:, :, 20:52, 12:40] += 0.1
    assert patch_variance(fused, first, second).item() == pytest.approx(0, abs=1e-12)
