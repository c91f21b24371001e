"""U-Net: an encoder and a decoder of convolutions, joined at each resolution.

After Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, with these changes: padded convolutions, so that the output has the
input's size; group normalization, which does not depend on the other images of a batch; bilinear
enlargement in place of transposed convolutions.
"""

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from fusion.network import checkpoint
from fusion.padding import crop, pad_to_multiple

GROUPS = 4  # of a normalization

Label = Annotated[int, Field(ge=0, le=255)]


class Settings(BaseModel):
    """The classes, and the size of the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: dict[Label, str] = Field(description="class names by label, as in the masks")
    width: int = Field(
        16, ge=GROUPS, le=256, multiple_of=GROUPS, description="channels at full resolution"
    )
    levels: int = Field(4, ge=1, le=6, description="resolutions; the channels double at each")

    @model_validator(mode="after")
    def _several(self) -> Self:
        if len(self.names) < 2:
            raise ValueError("there must be at least two classes")
        return self


class Architecture(Settings):
    """What determines the keys and shapes of the weights, and the classes."""

    channels: Literal[3, 6] = Field(3, description="of the images; 6 for two that are stacked")


class UNet(checkpoint.Network):
    """Class scores of each pixel.

    The channels of the output are the labels of ``architecture.names`` in ascending order.
    """

    NAME: ClassVar[str] = "unet"
    architecture: Architecture

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths = [architecture.width << level for level in range(architecture.levels)]
        self.down = nn.ModuleList(
            _convolutions(before, after)
            for before, after in zip([architecture.channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _convolutions(deep + here, here)
            for here, deep in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], len(architecture.names), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (logits), float [B, K, H, W], of images float [B, C, H, W] in [0, 1]."""
        height, width = images.shape[-2:]
        x = pad_to_multiple(2 * images - 1, 1 << (len(self.down) - 1))  # [B, C, H', W']
        skipped = []
        for level, block in enumerate(self.down):
            if level:
                x = functional.max_pool2d(x, 2)  # [B, D, H' / 2^level, W' / 2^level]
            x = block(x)
            skipped.append(x)
        for block, skip in zip(self.up, skipped[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = block(torch.cat((x, skip), 1))  # of skip's size
        return crop(self.head(x), height, width)


def _convolutions(before: int, after: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with normalization and ReLU."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, 3, padding=1, bias=False),
            nn.GroupNorm(GROUPS, after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
