"""FusionMamba on the luminance, with the visible chroma."""

import logging
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from common.component import ArmConfig
from common.errors import WeightsError
from fusion.fuser import Fuser
from fusion.fusers._scan import Scan
from fusion.network import checkpoint
from fusion.network.fusionmamba import (
    HEAD,
    Architecture,
    Depths,
    FusionMamba,
    Head,
    Switches,
    Width,
)
from fusion.network.network_fuser import NetworkFuser

SIZES: dict[str, tuple[int, Depths]] = {
    "tiny": (32, (1, 1, 2, 1)),
    "small": (48, (2, 2, 4, 2)),
    "base": (96, (2, 2, 9, 2)),  # the paper's
}

_log = logging.getLogger(__name__)


class Config(Switches, ArmConfig):
    """Network and weights; settings stored in the weights file can be omitted."""

    size: Literal["tiny", "small", "base"] = Field(
        "tiny", description="tiny (6.9 M parameters), small (23 M), base (115 M, the paper's)"
    )
    width: Width | None = Field(
        None, description="channels of the first level, 8 to 1024, a multiple of 4; over the size's"
    )
    depths: Depths | None = Field(
        None, description="blocks at each of the four levels, 1 to 64 each; over the size's"
    )
    head: Head = Field("mean", description=HEAD)
    weights: str | None = Field(
        None, description="name of shipped weights or path of a file; null: an untrained network"
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
    if config.weights is None:
        network = FusionMamba(_architecture(config, None), scan=config.scan)
        _log.warning("fusionmamba without weights is untrained: it returns the mean of the pair")
    else:
        stored = checkpoint.read(checkpoint.find(config.weights))
        network = FusionMamba(_architecture(config, stored), scan=config.scan)
        checkpoint.load(network, stored)
    return NetworkFuser(network).eval()


def _architecture(config: Config, stored: checkpoint.Checkpoint | None) -> Architecture:
    """The explicitly configured settings, completed by the checkpoint or the defaults."""
    width, depths = SIZES[config.size]
    explicit: dict[str, Any] = {
        name: getattr(config, name)
        for name in (Switches.model_fields.keys() | {"head"}) & config.model_fields_set
    }
    if "size" in config.model_fields_set:
        explicit |= {"width": width, "depths": depths}
    if config.width is not None:
        explicit["width"] = config.width
    if config.depths is not None:
        explicit["depths"] = config.depths

    architecture = stored.architecture(FusionMamba.NAME, Architecture) if stored else None
    if stored is None or architecture is None:
        return Architecture(**({"width": width, "depths": depths} | explicit))
    for name, value in explicit.items():
        if (trained := getattr(architecture, name)) != value:
            raise WeightsError(
                f"{stored.path}: weights of a network with {name} {trained}, but the configuration "
                f"asks for {value}; leave it out or choose other weights"
            )
    return architecture
