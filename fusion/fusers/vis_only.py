"""The visible image alone, unchanged."""

from torch import Tensor

from common.component import ArmConfig
from fusion.fuser import Fuser


class Config(ArmConfig):
    """No settings."""

    modality = "vis"
    pointwise = True


def vis_only(*, ir: Tensor, vis: Tensor) -> Tensor:
    """Return the visible image; the infrared one is not used.

    Args:
        ir: float [B, 1, H, W] in [0, 1].
        vis: float [B, 3, H, W] in [0, 1], RGB.

    Returns:
        ``vis`` itself, float [B, 3, H, W].
    """
    return vis


def build(config: Config) -> Fuser:
    """Return the fuser."""
    return vis_only
