"""A convolutional U-Net that computes a gate between the modalities, with the visible chroma."""

import logging
from pathlib import Path

from pydantic import Field

from common.component import ArmConfig
from common.errors import WeightsError
from fusion.fuser import Fuser
from fusion.network import checkpoint
from fusion.network.gate_unet import Architecture, GateUNet
from fusion.network.network_fuser import NetworkFuser

_log = logging.getLogger(__name__)


class Config(ArmConfig):
    """The weights file, whose metadata holds the network's widths."""

    weights: str | None = Field(
        None, description="name of shipped weights or path of a file; null: an untrained network"
    )

    def weights_file(self) -> Path | None:
        """The weights file; None for an untrained network."""
        return None if self.weights is None else checkpoint.find(self.weights)


def build(config: Config) -> Fuser:
    """Build the fuser on the CPU, in eval mode.

    Raises:
        errors.WeightsError: The weights are missing, damaged, or of another network.
    """
    if config.weights is None:
        _log.warning("gate_unet without weights is untrained: it returns the mean of the pair")
        return NetworkFuser(GateUNet(Architecture())).eval()
    stored = checkpoint.read(checkpoint.find(config.weights))
    architecture = stored.architecture(GateUNet.NAME, Architecture)
    if architecture is None:
        raise WeightsError(f"{stored.path}: its metadata does not name its network")
    network = GateUNet(architecture)
    checkpoint.load(network, stored)
    return NetworkFuser(network).eval()
