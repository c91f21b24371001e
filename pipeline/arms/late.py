"""Late fusion: other arms' detections, merged by class-wise NMS; there is no image."""

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import Field, field_validator
from torchvision.ops import batched_nms

from common.component import ArmConfig
from detection.boxes import Detections
from pipeline.interfaces import Arm


class Config(ArmConfig):
    """Which arms' detections are merged, and how."""

    arms: tuple[str, ...] = Field(("ir", "vis"), min_length=2, description="arms to merge")

    @field_validator("arms")
    @classmethod
    def _unique(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(arms)) < len(arms):
            raise ValueError("must not name an arm twice")
        return arms

    iou: float = Field(0.6, gt=0, le=1, description="NMS threshold")

    def merged_arms(self) -> tuple[str, ...]:
        """Those of the settings."""
        return self.arms


def build(config: Config) -> "LateArm":
    """The arm."""
    return LateArm(config)


class LateArm(Arm):
    """Merges the detections of several arms on one pair."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._iou = config.iou

    def merge(self, detections: Mapping[str, Detections]) -> Detections:
        """Class-wise NMS over the detections of the configured arms, best score first."""
        merged = self.config.merged_arms()
        every = Detections.concatenate([detections[arm] for arm in merged])
        kept = batched_nms(
            torch.from_numpy(every.xyxy),
            torch.from_numpy(every.score),
            torch.from_numpy(every.class_id),
            self._iou,
        )
        return every[kept.numpy().astype(np.intp)]
