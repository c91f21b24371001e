"""A checkpoint of FusionMamba's released code, on the luminance, with the visible chroma.

The luminance is the network's output clamped to [0, 1], as the released training code clamps it
before the losses. Training pulls the output to the larger input (Eq. 13), so it is on the scale of
the inputs.

The released test code also stretches each image to its minimum and maximum. This is left out: the
brightness of a scene would change from frame to frame.
"""

from pathlib import Path

from pydantic import Field

from common.component import ArmConfig
from fusion.fuser import Fuser
from fusion.fusers._scan import Scan
from fusion.network import checkpoint, released
from fusion.network.network_fuser import NetworkFuser


class Config(ArmConfig):
    """The weights file, from which the network's width and depths are read."""

    weights: str = Field(description="path of the authors' .pth file, or of a .safetensors file")
    scan: Scan = "auto"

    def weights_file(self) -> Path:
        """The authors' file."""
        return checkpoint.find(self.weights)


def build(config: Config) -> Fuser:
    """Build the fuser on the CPU, in eval mode.

    Raises:
        errors.WeightsError: The weights are missing, damaged, or of another network.
    """
    return NetworkFuser(released.from_checkpoint(config.weights, scan=config.scan)).eval()
