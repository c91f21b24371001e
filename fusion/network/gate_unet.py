"""A plain convolutional U-Net that computes the gate: the baseline network for FusionMamba.

Five levels at 1/2 to 1/32 of the resolution. Each level of the encoder has two 3 x 3 convolutions
with GroupNorm and SiLU, the first of them strided (the finest level has one, not strided); each
level of the decoder has two, after nearest-neighbour enlarging. Inputs are scaled to [−1, 1] and
2 x 2 pixels become channels. The 1 x 1 head starts at zero and outputs the two maps of
``fusion.network.gate`` at half the resolution.
"""

from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from fusion.color import check_luminances
from fusion.network.checkpoint import Network
from fusion.network.fine import BLOCK, GROUPS, MARGIN, ConvBlock, blocks
from fusion.network.gate import MAPS, blend
from fusion.padding import crop, pad_to_multiple

Width = Annotated[int, Field(ge=GROUPS, le=1024, multiple_of=GROUPS)]


class Architecture(BaseModel):
    """Settings that determine the network's weights; stored as JSON in a checkpoint's metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[Width, ...] = Field(
        (24, 48, 96, 144, 192),
        min_length=2,
        max_length=7,
        description="channels of each level from half the resolution on, multiples of 8",
    )


class GateUNet(Network):
    """Fuses the luminances of a pair; 2 M parameters with the default widths."""

    NAME: ClassVar[str] = "gate_unet"
    architecture: Architecture

    def __init__(self, architecture: Architecture) -> None:
        """Draw an untrained network, which returns the mean of the pair."""
        super().__init__()
        self.architecture = architecture
        widths = architecture.widths
        self.stem = ConvBlock(2 * BLOCK**2, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(ConvBlock(fine, coarse, stride=2), ConvBlock(coarse, coarse))
            for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(ConvBlock(coarse + fine, fine), ConvBlock(fine, fine))
            for fine, coarse in pairwise(widths)
        )
        self.head = nn.Conv2d(widths[0], MAPS, kernel_size=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of luminances of any size.

        Args:
            ir: float [B, 1, H, W] in [0, 1].
            vis: float [B, 1, H, W] in [0, 1], luminance, same shape, dtype and device.

        Returns:
            float [B, 1, H, W]; clamped to [0, 1] in eval mode, not in training.

        Raises:
            ValueError: The shapes are not [B, 1, H, W] or differ.
        """
        check_luminances(ir, vis)
        height, width = ir.shape[2:]
        multiple = 2 ** len(self.architecture.widths)
        margin = 0 if self.training else MARGIN
        ir = pad_to_multiple(ir, multiple, margin)  # [B, 1, H', W']
        vis = pad_to_multiple(vis, multiple, margin)
        fused = crop(blend(self.maps(ir, vis), ir=ir, vis=vis), height, width, margin)
        return fused if self.training else fused.clamp(0, 1)

    def maps(self, ir: Tensor, vis: Tensor) -> Tensor:
        """Compute the maps of ``fusion.network.gate``, float [B, 2, H/2, W/2], of a padded pair."""
        x = self.stem(blocks(ir, vis))  # [B, C_0, H/2, W/2]
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)  # [B, C_n, H/2^n, W/2^n]
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = up(torch.cat((x, skip), 1))
        maps: Tensor = self.head(x)
        return maps
