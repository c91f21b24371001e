"""The infrared image alone, as three equal channels."""

from torch import Tensor

from common.component import ArmConfig
from fusion.fuser import Fuser


class Config(ArmConfig):
    """No settings."""

    modality = "ir"
    pointwise = True


def ir_only(*, ir: Tensor, vis: Tensor) -> Tensor:
    """Repeat the infrared image; the visible one is not used.

    Args:
        ir: float [B, 1, H, W] in [0, 1].
        vis: float [B, 3, H, W] in [0, 1], RGB.

    Returns:
        float [B, 3, H, W] in [0, 1], a copy.
    """
    return ir.repeat(1, 3, 1, 1)  # [B, 3, H, W]


def build(config: Config) -> Fuser:
    """Return the fuser."""
    return ir_only
