"""Early fusion: infrared and visible image stacked to six channels, for what was trained on such.

Infrared fills the first three channels, so that both halves suit the first layer of a network that
learned from colour images. Its image can't be shown or measured.
"""

import torch
from torch import Tensor

from common.component import ArmConfig
from pipeline.frames import PairBatch
from pipeline.interfaces import Arm


class Config(ArmConfig):
    """Infrared and visible, stacked; needs a detector or segmenter of its own with six channels."""

    channels = 6


def build(config: Config) -> "StackedArm":
    """The arm."""
    return StackedArm(config)


class StackedArm(Arm):
    """Stacks a pair's images."""

    def __call__(self, batch: PairBatch) -> Tensor:
        """Infrared three times, then red, green, blue: uint8 [B, 6, H, W]."""
        return torch.cat((batch.ir.expand(-1, 3, -1, -1), batch.vis), dim=1)
