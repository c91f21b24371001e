"""Convolutions at half the resolution, for gates finer than a network's own features.

Ours, not of a paper: 2 x 2 pixels of both images become channels, as in a U-Net's finest level.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.network.layers import PatchExpanding

GROUPS = 8  # of GroupNorm
FINE = 24  # channels at half the resolution
BLOCK = 2  # pixels along each axis that become channels
# Pixels of reflection round the image: the zeros that convolutions see beyond its edges would show
# as a line along them. Not in training, whose crops are small.
MARGIN = 16


class ConvBlock(nn.Sequential):
    """3 x 3 convolution, GroupNorm, SiLU: [B, C, H, W] to [B, C', H/stride, W/stride]."""

    def __init__(self, width: int, out: int, stride: int = 1) -> None:
        """Make the block.

        Args:
            width: C, channels of the input.
            out: C', channels of the output, a multiple of 8.
            stride: Of the convolution.
        """
        super().__init__(
            nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(GROUPS, out),
            nn.SiLU(inplace=True),
        )


class FineFeatures(nn.Module):
    """Features at a quarter of the resolution and the pixels, to features at half of it."""

    def __init__(self, width: int) -> None:
        """Make the layers.

        Args:
            width: C, channels of the features.
        """
        super().__init__()
        self.expand = PatchExpanding(width, 2, FINE)
        self.pixels = ConvBlock(2 * BLOCK**2, FINE)
        self.mix = nn.Sequential(ConvBlock(2 * FINE, FINE), ConvBlock(FINE, FINE))

    def forward(self, features: Tensor, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Join features and pixels.

        Args:
            features: float [B, H/4, W/4, C].
            ir: float [B, 1, H, W] in [0, 1]; H and W multiples of 4.
            vis: float [B, 1, H, W] in [0, 1], luminance.

        Returns:
            float [B, H/2, W/2, FINE].
        """
        coarse = self.expand(features).permute(0, 3, 1, 2)  # [B, FINE, H/2, W/2]
        x = torch.cat((coarse, self.pixels(blocks(ir, vis))), 1)  # [B, 2 FINE, H/2, W/2]
        y: Tensor = self.mix(x)
        return y.permute(0, 2, 3, 1)


def blocks(ir: Tensor, vis: Tensor) -> Tensor:
    """Scale a pair to [−1, 1]; 2 x 2 pixels become channels: [B, 1, H, W] to [B, 8, H/2, W/2]."""
    x = functional.pixel_unshuffle(torch.cat((ir, vis), 1) * 2 - 1, BLOCK)
    return x.contiguous(memory_format=torch.channels_last)
