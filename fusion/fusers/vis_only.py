"""The visible image alone, unchanged."""

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from fusion.fuser import Fuser


class Config(BaseModel):
    """No settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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
