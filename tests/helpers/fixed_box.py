"""A detector that finds one person at a place of its settings, whatever the image shows.

It is a component of the user's own: `kind: tests.helpers.fixed_box`.
"""

import numpy as np

from common.component import ComponentConfig
from detection.boxes import Detections


class Config(ComponentConfig):
    x: float = 0.0
    channels: int = 3
    second_class: str = "car"


def build(config, *, device):
    return FixedBox(config)


class FixedBox:
    """Its score is the mean of the image's first channel, 0 to 1."""

    def __init__(self, config):
        self._x, self.channels = config.x, config.channels
        self.names = {0: "person", 2: config.second_class}
        self.fingerprint = {"network": "fixed box", "x": config.x}

    def input_shape(self, size):
        return size

    def __call__(self, images):
        assert images.shape[1] == self.channels
        return [self._one(image) for image in images]

    def _one(self, image):
        box = np.array([[self._x, 0, self._x + 10, 10]], np.float32)
        score = np.array([image[0].float().mean() / 255], np.float32)
        return Detections(box, score, np.zeros(1, np.int64))
