"""An own detector; in this folder `irvis run demo detector.kind=own_detector` detects with it.

It finds people as what is much brighter than its surroundings, so it is good in infrared alone.
"""

import cv2
import numpy as np
from pydantic import BaseModel, Field

from detection.boxes import Detections


class Config(BaseModel, frozen=True, extra="forbid"):
    """Bright spots as people."""

    threshold: int = Field(160, ge=1, le=255, description="least grey level of a person")
    area: int = Field(30, ge=1, description="least area of a person, pixels")


def build(config, *, device):
    """Return the detector."""
    return BrightSpots(config)


class BrightSpots:
    """The bounding boxes of connected bright pixels."""

    names = {0: "person", 2: "car"}  # of the generated drives; it finds no cars

    def __init__(self, config):
        self.config = config
        self.fingerprint = {"network": "bright spots", **config.model_dump()}

    def input_shape(self, size):
        """Height and width that the network computes at, for an image of this height and width."""
        return size

    def __call__(self, images):
        """Detect in uint8 [B, 3, H, W], RGB; one ``Detections`` an image, best score first."""
        return [self._detect(image.float().mean(0).cpu().numpy()) for image in images]

    def _detect(self, grey):
        bright = (grey >= self.config.threshold).astype(np.uint8)  # (H, W)
        stats = cv2.connectedComponentsWithStats(bright)[2][1:]  # (n, 5), without the background
        stats = stats[stats[:, cv2.CC_STAT_AREA] >= self.config.area]
        left, top, width, height, area = stats.T.astype(np.float32)
        score = area / (width * height)
        order = np.argsort(-score, kind="stable")
        xyxy = np.stack((left, top, left + width, top + height), 1)
        return Detections(xyxy[order], score[order], np.zeros(len(score), np.int64))
