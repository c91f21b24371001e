"""A plain convolutional U-Net that gives the gate: the control for FusionMamba.

ours: five levels at 1/2 to 1/32 of the resolution; two 3 x 3 convolutions with GroupNorm and SiLU
at each on the way down, the first of them strided, and on the way up, after nearest neighbours (one
at the finest on the way down). Pixels go in as blocks of 2 x 2, scaled to [−1, 1]; the head, 1 x 1
and zero at the start, gives the two maps of ``fusion.network.gate`` at half the resolution.
"""

from itertools import pairwise
from typing import Annotated, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from fusion.network.checkpoint import Network
from fusion.network.gate import MAPS, blend
from fusion.padding import pad_to_multiple

GROUPS = 8  # of the normalisation

Width = Annotated[int, Field(ge=GROUPS, le=1024, multiple_of=GROUPS)]


class Architecture(BaseModel):
    """All that decides which weights a network has; a checkpoint's metadata holds it as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[Width, ...] = Field(
        (24, 48, 96, 144, 192),
        min_length=2,
        max_length=7,
        description="channels of each level from half the resolution on, multiples of 8",
    )


class GateUNet(Network):
    """Fuses the luminances of a pair; 2 M parameters in its usual size."""

    NAME: ClassVar[str] = "gate_unet"
    architecture: Architecture

    def __init__(self, architecture: Architecture) -> None:
        """Draw an untrained network, which returns the mean of the pair."""
        super().__init__()
        self.architecture = architecture
        widths = architecture.widths
        self.stem = _Conv(2 * 2 * 2, widths[0])  # two images of 2 x 2 pixels
        self.down = nn.ModuleList(
            nn.Sequential(_Conv(fine, coarse, stride=2), _Conv(coarse, coarse))
            for fine, coarse in pairwise(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(_Conv(coarse + fine, fine), _Conv(fine, fine))
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
        if ir.shape != vis.shape or ir.dim() != 4 or ir.shape[1] != 1:
            raise ValueError(
                f"ir and vis must both be [B, 1, H, W]: {tuple(ir.shape)}, {tuple(vis.shape)}"
            )
        height, width = ir.shape[2:]
        multiple = 2 ** len(self.architecture.widths)
        ir, vis = pad_to_multiple(ir, multiple), pad_to_multiple(vis, multiple)
        fused = blend(self.maps(ir, vis), ir=ir, vis=vis)[:, :, :height, :width]
        return fused if self.training else fused.clamp(0, 1)

    def maps(self, ir: Tensor, vis: Tensor) -> Tensor:
        """The maps of ``fusion.network.gate``, float [B, 2, H/2, W/2], of a padded pair."""
        x = functional.pixel_unshuffle(torch.cat((ir, vis), 1) * 2 - 1, 2)  # [B, 8, H/2, W/2]
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)  # [B, C_n, H/2^n, W/2^n]
        for up, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = up(torch.cat((x, skip), 1))
        maps: Tensor = self.head(x)
        return maps


class _Conv(nn.Sequential):
    """3 x 3 convolution, GroupNorm, SiLU: [B, C, H, W] to [B, C', H/stride, W/stride]."""

    def __init__(self, width: int, out: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.GroupNorm(GROUPS, out),
            nn.SiLU(inplace=True),
        )
