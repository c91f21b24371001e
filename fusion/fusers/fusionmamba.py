"""FusionMamba on the luminance, with the visible chroma."""

import logging
from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn

from common.errors import WeightsError
from fusion.color import check_range, fuse_luminance
from fusion.fuser import Fuser
from fusion.network import checkpoint
from fusion.network.fusionmamba import Architecture, Depths, FusionMamba, Switches, Width

SIZES: dict[str, tuple[int, Depths]] = {
    "tiny": (32, (1, 1, 2, 1)),
    "small": (48, (2, 2, 4, 2)),
    "base": (96, (2, 2, 9, 2)),  # the paper's
}

_log = logging.getLogger(__name__)


class Config(Switches):
    """Which network and which weights; what the weights file says needs not be said here."""

    size: Literal["tiny", "small", "base"] = Field(
        "tiny", description="tiny (6.9 M parameters), small (23 M), base (115 M, the paper's)"
    )
    width: Width | None = Field(
        None, description="channels of the first level, 8 to 1024, a multiple of 4; over the size's"
    )
    depths: Depths | None = Field(
        None, description="blocks at each of the four levels, 1 to 64 each; over the size's"
    )
    weights: str | None = Field(
        None, description="name of shipped weights or path of a file; null: an untrained network"
    )
    scan: Literal["auto", "numba", "triton", "mamba_ssm", "reference"] = Field(
        "auto", description="backend of the selective scan"
    )


class FusionMambaFuser(nn.Module):
    """A FusionMamba network as a fuser."""

    def __init__(self, network: FusionMamba) -> None:
        super().__init__()
        self.network = network

    def forward(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of pairs.

        Args:
            ir: float [B, 1, H, W] in [0, 1].
            vis: float [B, 3, H, W] in [0, 1], RGB, same device and dtype.

        Returns:
            float [B, 3, H, W] in [0, 1], RGB.

        Raises:
            ValueError: Values are NaN or outside [0, 1]. The scan would spread one NaN over the
                image; looking takes far less than 1 % of even the smallest network's time.
        """
        check_range("ir", ir)
        check_range("vis", vis)
        return fuse_luminance(self.network, ir=ir, vis=vis)


def build(config: Config) -> Fuser:
    """The fuser of this configuration, on the CPU, in eval mode.

    Raises:
        errors.WeightsError: The weights cannot be had, are damaged, or are of another network than
            the configuration asks for.
    """
    if config.weights is None:
        network = FusionMamba(_architecture(config, None), scan=config.scan)
        _log.warning("fusionmamba without weights is untrained: it returns the mean of the pair")
    else:
        stored = checkpoint.read(checkpoint.find(config.weights))
        network = FusionMamba(_architecture(config, stored), scan=config.scan)
        checkpoint.load(network, stored)
    return FusionMambaFuser(network).eval()


def _architecture(config: Config, stored: checkpoint.Checkpoint | None) -> Architecture:
    """What the configuration says in so many words, completed by the checkpoint or the defaults."""
    width, depths = SIZES[config.size]
    said: dict[str, Any] = {
        name: getattr(config, name)
        for name in Switches.model_fields.keys() & config.model_fields_set
    }
    if "size" in config.model_fields_set:
        said |= {"width": width, "depths": depths}
    if config.width is not None:
        said["width"] = config.width
    if config.depths is not None:
        said["depths"] = config.depths

    known = stored.architecture() if stored else None
    if stored is None or known is None:
        return Architecture(**({"width": width, "depths": depths} | said))
    for name, value in said.items():
        if getattr(known, name) != value:
            raise WeightsError(
                f"{stored.path}: weights of a network with {name} {getattr(known, name)}, but the "
                f"configuration asks for {value}; leave it out or choose other weights"
            )
    return known
