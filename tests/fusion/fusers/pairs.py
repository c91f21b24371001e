"""Random pairs."""

import torch


def pair(height=9, width=12, seed=0):
    """Two pairs in [0, 1], by modality."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "ir": torch.rand(2, 1, height, width, generator=generator),
        "vis": torch.rand(2, 3, height, width, generator=generator),
    }
