"""Late fusion: merges the detections of other arms by class-wise NMS; has no image."""

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import Field, field_validator

from common.component import ArmConfig
from detection.boxes import Detections
from detection.nms import class_wise
from pipeline.interfaces import Arm


class Config(ArmConfig):
    """Arms to merge, and the threshold of NMS."""

    arms: tuple[str, ...] = Field(("ir", "vis"), min_length=2, description="arms to merge")

    @field_validator("arms")
    @classmethod
    def _unique(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(arms)) < len(arms):
            raise ValueError("must not name an arm twice")
        return arms

    iou: float = Field(0.6, gt=0, le=1, description="NMS threshold")

    def merged_arms(self) -> tuple[str, ...]:
        """The arms of the settings."""
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
        boxes = Detections.concatenate([detections[arm] for arm in self.config.merged_arms()])
        kept = class_wise(
            torch.from_numpy(boxes.xyxy),
            torch.from_numpy(boxes.score),
            torch.from_numpy(boxes.class_id),
            self._iou,
        )
        return boxes[kept.numpy().astype(np.intp)]
