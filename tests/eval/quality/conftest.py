import numpy as np
import pytest
import torch
from skimage import data

from eval.quality.metrics import quality


def measured(ir, vis, fused):
    """All metrics of uint8 images (H, W), as floats."""
    batch = [torch.tensor(np.asarray(image, np.uint8))[None, None] for image in (ir, vis, fused)]
    values = quality(ir=batch[0], vis=batch[1], fused=batch[2])
    return {key: value.item() for key, value in values.items()}


@pytest.fixture
def measure():
    return measured


@pytest.fixture
def photos():
    """Three textured images (H, W): two photographs and their mean."""
    ir, vis = data.coins()[50:240, 100:320], data.camera()[100:290, 150:370]
    return ir, vis, np.rint((ir.astype(float) + vis) / 2).astype(np.uint8)


@pytest.fixture
def noise():
    """Three small images (H, W) without structure."""
    return np.random.default_rng(0).integers(0, 256, (3, 9, 13), dtype=np.uint8)
