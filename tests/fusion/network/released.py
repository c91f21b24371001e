"""A small network of the released code, with all weights drawn."""

import torch

from fusion.network.released import stored_key

DEPTHS = (1, 2, 1, 1)
SCAN = "reference"  # on so few tokens the fastest; only the authors' network takes the default


def drawn(module):
    """All weights random, as nothing at its start value would show where it goes."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def stored(network):
    """What a file of the released code holds of this network, with what is in it for nothing."""
    tensors = {stored_key(k): v.clone() for k, v in network.state_dict().items()}
    for key in [key for key in tensors if key.endswith(".learnable_mask")]:
        channels = len(tensors[key])
        tensors[key.replace("learnable_mask", "base_mask")] = torch.ones(channels, channels, 3, 3)
    for key in [key for key in tensors if key.startswith("Cross_block.1.")]:
        tensors[key.replace("block.1", "block.0")] = torch.zeros(1)
    for level in range(4):
        key = f"Cross_block.{level}.Cross_layer.Diff_enhance.lastconv.weight"
        tensors[key] = torch.ones(4, 8, 1, 1)
    return tensors
