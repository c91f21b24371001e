"""An own fuser; in this folder `irvis run demo arms.mine.kind=own_fuser` makes it an arm."""

from pydantic import BaseModel, Field


class Config(BaseModel, frozen=True, extra="forbid"):
    """Adds to the visible image what is brighter in infrared."""

    strength: float = Field(0.5, ge=0, le=1, description="share of the difference that is added")


def build(config):
    """Return the fuser; ir is float [B, 1, H, W], vis and the result [B, 3, H, W], in [0, 1]."""
    return lambda *, ir, vis: vis + config.strength * (ir - vis).clamp(min=0)
