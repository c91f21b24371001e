"""MambaDFuse on the luminance, with the visible chroma; also the authors' checkpoints.

One kind is enough for both, because the network that is trained here is the released code's and its
files have the same names. The luminance is the network's output clamped to [0, 1]. The released
test code gives a grey image; the chroma is put back here.
"""

import logging
from pathlib import Path

import torch
from pydantic import Field

from common.component import ArmConfig
from common.errors import WeightsError
from fusion.fuser import Fuser
from fusion.fusers._scan import Scan
from fusion.network import checkpoint
from fusion.network.mambadfuse import Architecture, Count, MambaDFuse, Width, architecture_of
from fusion.network.network_fuser import NetworkFuser

_log = logging.getLogger(__name__)


class Config(ArmConfig):
    """Network and weights; width and blocks are read from the weights file."""

    width: Width | None = Field(None, description="channels C, 4 to 1024; null: 60, the authors'")
    blocks: tuple[Count, Count, Count, Count] | None = Field(
        None,
        description="blocks of each modality, of the exchange, of the fusion and of the "
        "reconstruction, 1 to 64 each; null: 8, 2, 5, 8, the authors'",
    )
    weights: str | None = Field(
        None,
        description="path of the authors' .pth file or of one trained here; null: an untrained "
        "network",
    )
    scan: Scan = "auto"

    def weights_file(self) -> Path | None:
        """The weights file; None for an untrained network."""
        return None if self.weights is None else checkpoint.find(self.weights)


def build(config: Config) -> Fuser:
    """Build the fuser on the CPU, in eval mode.

    Raises:
        errors.WeightsError: The weights are missing or damaged, or their network is not the
            configured one.
    """
    given = {"width": config.width, "blocks": config.blocks}
    given = {name: value for name, value in given.items() if value is not None}
    if config.weights is None:
        _log.warning("mambadfuse without weights is untrained: its images show nothing")
        return NetworkFuser(MambaDFuse(Architecture(**given), scan=config.scan)).eval()
    stored = checkpoint.read(checkpoint.find(config.weights))
    architecture = architecture_of(stored)
    for name, value in given.items():
        if (trained := getattr(architecture, name)) != value:
            raise WeightsError(
                f"{stored.path}: weights of a network with {name} {trained}, but the configuration "
                f"asks for {value}; leave it out or choose other weights"
            )
    with torch.device("meta"):  # allocates nothing until the file is known to match
        network = MambaDFuse(architecture, scan=config.scan)
    checkpoint.match(network.state_dict(), stored)
    weights = {key: value.float() for key, value in stored.tensors.items()}
    network.load_state_dict(weights, assign=True)
    return NetworkFuser(network).eval()
