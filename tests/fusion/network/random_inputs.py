"""Random weights and images for the small networks."""

import torch
from torch import nn


def drawn(module):
    """All parameters normal, of standard deviation 0.3."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


def pair(height=32, width=32, batch=1, seed=1):
    """Grey images (batch, 1, height, width) in [0, 1] of both modalities."""
    generator = torch.Generator().manual_seed(seed)
    ir, vis = torch.rand(2, batch, 1, height, width, generator=generator)
    return {"ir": ir, "vis": vis}
