"""The visible image alone, untouched."""

from torch import Tensor

from common.component import ArmConfig
from fusion.fuser import Fuser


class Config(ArmConfig):
    """Visible alone has nothing to set."""

    modality = "vis"


def vis_only(*, ir: Tensor, vis: Tensor) -> Tensor:
    """Return the visible image; the infrared one is not looked at.

    Args:
        ir: float [B, 1, H, W] in [0, 1].
        vis: float [B, 3, H, W] in [0, 1], RGB.

    Returns:
        ``vis`` itself, float [B, 3, H, W].
    """
    return vis


def build(config: Config) -> Fuser:
    """The fuser of this configuration."""
    return vis_only
