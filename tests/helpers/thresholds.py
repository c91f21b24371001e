"""A segmenter that is cheap and predictable: `kind: tests.helpers.thresholds`."""

from common.component import ComponentConfig


class Config(ComponentConfig):
    level: int
    label: int = 7
    names: dict[int, str] = {0: "dark", 7: "bright"}
    channels: int = 3


def build(config, *, device):
    return Threshold(config)


class Threshold:
    """A label where the red channel is at least ``level``, else 0."""

    def __init__(self, config):
        self.names, self.channels = config.names, config.channels
        self._level, self._label = config.level, config.label
        self.fingerprint = {"network": "threshold", "weights_sha256": str(config.level)}

    def __call__(self, images):
        return ((images[:, 0] >= self._level) * self._label).to(images.dtype)  # [B, H, W]
