"""A detector that kills its process at a white picture, as lack of memory does."""

import os
import signal

import numpy as np

from common.component import ComponentConfig
from detection.boxes import Detections


class Config(ComponentConfig):
    """Nothing to set."""


def build(config, *, device):
    return Deadly()


class Deadly:
    """Finds one person in each other picture, as large as the brightest row and column are far."""

    names = {0: "person", 2: "car"}
    fingerprint = {"network": "deadly"}

    def input_shape(self, size):
        return size

    def __call__(self, images):
        if any(image.min() == 255 for image in images):
            os.kill(os.getpid(), signal.SIGKILL)
        return [self._one(image.float().mean(0)) for image in images]

    def _one(self, grey):
        y, x = grey.mean(1).argmax() + 1, grey.mean(0).argmax() + 1
        box = np.array([[0, 0, x, y]], np.float32)
        return Detections(box, np.array([0.5], np.float32), np.zeros(1, np.int64))
