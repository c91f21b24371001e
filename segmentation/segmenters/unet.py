"""A small U-Net, trained by `irvis finetune` on an arm's images."""

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor

from common.checksums import sha256
from common.component import ComponentConfig
from common.errors import WeightsError
from fusion.network import checkpoint
from segmentation.segmenter import Segmenter
from segmentation.unet import Architecture, UNet

PIXELS = 1 << 21  # of the images that are computed at once, which take about 500 bytes a pixel


class Config(ComponentConfig):
    """The weights file, whose metadata holds the classes and the network's width."""

    weights: str = Field(description="path of a .safetensors file that irvis finetune wrote")

    def weights_file(self) -> Path:
        """The weights file."""
        return checkpoint.find(self.weights, Path())


def build(config: Config, *, device: torch.device) -> Segmenter:
    """Build the segmenter on a device.

    Raises:
        errors.WeightsError: The weights are missing, damaged, or of another network.
    """
    path = config.weights_file()
    stored = checkpoint.read(path)
    architecture = stored.architecture(UNet.NAME, Architecture)
    if architecture is None:
        raise WeightsError(f"{path}: its metadata does not name its network and classes")
    network = UNet(architecture)
    checkpoint.load(network, stored)
    return UNetSegmenter(network.to(device), sha256(path))


class UNetSegmenter:
    """Gives each pixel the label with the highest score."""

    def __init__(self, network: UNet, weights_sha256: str) -> None:
        """Take a network, on its device."""
        self._network = network.eval()
        self._names = network.architecture.names
        device = next(network.parameters()).device
        self._labels = torch.tensor(sorted(self._names), dtype=torch.uint8, device=device)  # [K]
        self._sha256 = weights_sha256

    @property
    def channels(self) -> int:
        """Channels of its images: 3, or 6 for two that are stacked."""
        return self._network.architecture.channels

    @property
    def names(self) -> Mapping[int, str]:
        """Class names by label."""
        return self._names

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """The network's architecture, its weights' sha256 and the dtype."""
        return {
            "network": self._network.NAME,
            "architecture": self._network.architecture.model_dump(mode="json"),
            "weights_sha256": self._sha256,
            "dtype": "float32",
        }

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Labels uint8 [B, H, W] of images uint8 [B, C, H, W]."""
        _, _, height, width = images.shape
        count = max(1, PIXELS // (height * width))
        parts = [
            self._labels[self._network(images[first : first + count].float() / 255).argmax(1)]
            for first in range(0, len(images), count)
        ]  # [b, H, W] each
        return torch.cat(parts)
