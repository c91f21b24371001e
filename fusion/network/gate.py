"""The gate: a pixelwise weight between the modalities, and a small residual.

fused = g ir + (1 − g) vis + r with g = sigmoid(2 a) and r = 0.3 tanh(b). The maps a and b have a
fraction of the resolution and are enlarged by bilinear interpolation, so that the network's blocks
of pixels are not visible. Where both are 0, as in an untrained network, fused is the mean of the
pair.
"""

import torch
from torch import Tensor
from torch.nn import functional

MAPS = 2  # a and b
SLOPE, RESIDUAL = 2.0, 0.3


def blend(maps: Tensor, *, ir: Tensor, vis: Tensor) -> Tensor:
    """Fuse a pair by the maps of a network.

    Args:
        maps: float [B, 2, h, w], a and b, of the (padded) image.
        ir: float [B, 1, H, W] in [0, 1]; H and W multiples of h and w.
        vis: float [B, 1, H, W] in [0, 1], luminance.

    Returns:
        float [B, 1, H, W], from −0.3 to 1.3. Differentiable.
    """
    size = (ir.shape[2], ir.shape[3])
    maps = functional.interpolate(maps, size, mode="bilinear").to(ir.dtype)  # [B, 2, H, W]
    a, b = maps[:, :1], maps[:, 1:]
    fused = torch.lerp(vis, ir, torch.sigmoid(SLOPE * a))  # [B, 1, H, W]
    return fused + RESIDUAL * torch.tanh(b)
