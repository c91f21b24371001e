"""Late fusion: other arms' detections, merged by class-wise NMS; there is no image."""

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torchvision.ops import batched_nms

from detection.boxes import Detections


class Config(BaseModel):
    """Which arms' detections are merged, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arms: tuple[str, ...] = Field(("ir", "vis"), min_length=2, description="arms to merge")

    @field_validator("arms")
    @classmethod
    def _unique(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(arms)) < len(arms):
            raise ValueError("must not name an arm twice")
        return arms

    iou: float = Field(0.6, gt=0, le=1, description="NMS threshold")


def build(config: Config) -> "LateArm":
    """The arm."""
    return LateArm(config)


class LateArm:
    """Merges the detections of several arms on one pair."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def merge(self, detections: Mapping[str, Detections]) -> Detections:
        """Class-wise NMS over the detections of the configured arms, best score first."""
        every = Detections.concatenate([detections[arm] for arm in self.config.arms])
        kept = batched_nms(
            torch.from_numpy(every.xyxy),
            torch.from_numpy(every.score),
            torch.from_numpy(every.class_id),
            self.config.iou,
        )
        return every[kept.numpy().astype(np.intp)]
