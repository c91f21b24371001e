"""The larger of infrared and visible luminance, with the visible chroma."""

import torch
from torch import Tensor

from common.component import ArmConfig
from fusion.color import fuse_luminance
from fusion.fuser import Fuser


class Config(ArmConfig):
    """No settings."""

    pointwise = True


def maximum(*, ir: Tensor, vis: Tensor) -> Tensor:
    """max(IR, Y) at each pixel.

    Args:
        ir: float [B, 1, H, W] in [0, 1].
        vis: float [B, 3, H, W] in [0, 1], RGB.

    Returns:
        float [B, 3, H, W] in [0, 1], RGB.
    """
    return fuse_luminance(_larger, ir=ir, vis=vis)


def build(config: Config) -> Fuser:
    """Return the fuser."""
    return maximum


def _larger(*, ir: Tensor, vis: Tensor) -> Tensor:
    return torch.maximum(ir, vis)  # [B, 1, H, W]
