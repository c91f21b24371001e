"""A checkpoint of FusionMamba's released code, on the luminance, with the visible chroma.

The luminance is the network's output clamped to [0, 1]. The output is on the scale of the inputs:
training pulls it to their larger one (Eq. 13), and the released training code clamps it to [0, 1]
before the losses, so that clamping is part of what was trained.

The released test code then stretches each image to its own least and greatest value, which is left
out here: it would make the same scene brighter or darker from one frame to the next.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from common.component import ArmConfig
from fusion.fuser import Fuser
from fusion.network import checkpoint, released
from fusion.network.network_fuser import NetworkFuser


class Config(ArmConfig):
    """Which file; the network's width and depths are read from it."""

    weights: str = Field(description="path of the authors' .pth file, or of a .safetensors file")
    scan: Literal["auto", "numba", "triton", "mamba_ssm", "reference"] = Field(
        "auto", description="backend of the selective scan"
    )

    def weights_file(self) -> Path:
        """The authors' file."""
        return checkpoint.find(self.weights)


def build(config: Config) -> Fuser:
    """The fuser of this configuration, on the CPU, in eval mode.

    Raises:
        errors.WeightsError: The weights cannot be had, are damaged, or are of another network.
    """
    return NetworkFuser(released.from_checkpoint(config.weights, scan=config.scan)).eval()
