"""A checkpoint of FusionMamba's released code, on the luminance, with the visible chroma."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from fusion.color import check_range, fuse_luminance
from fusion.fuser import Fuser
from fusion.network import released


class Config(BaseModel):
    """Which file; the network's width and depths are read from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str = Field(description="path of the authors' .pth file, or of a .safetensors file")
    scan: Literal["auto", "numba", "triton", "mamba_ssm", "reference"] = Field(
        "auto", description="backend of the selective scan"
    )


class ReleasedFuser(nn.Module):
    """A released network as a fuser.

    The luminance is the network's output clamped to [0, 1]. The output is on the scale of the
    inputs: training pulls it to their larger one (Eq. 13), and the released training code clamps
    it to [0, 1] before the losses, so that clamping is part of what was trained.

    The released test code then stretches each image to its own least and greatest value, which is
    left out here: it would make the same scene brighter or darker from one frame to the next.
    """

    def __init__(self, network: released.ReleasedFusionMamba) -> None:
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
            ValueError: Values are NaN or outside [0, 1]; the scan would spread one over the image.
        """
        check_range("ir", ir)
        check_range("vis", vis)
        return fuse_luminance(self._luminance, ir=ir, vis=vis)

    def _luminance(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Float [B, 1, H, W] twice to float [B, 1, H, W] in [0, 1]."""
        fused: Tensor = self.network(ir=ir, vis=vis)
        return fused.clamp(0, 1)


def build(config: Config) -> Fuser:
    """The fuser of this configuration, on the CPU, in eval mode.

    Raises:
        errors.WeightsError: The weights cannot be had, are damaged, or are of another network.
    """
    path = Path(config.weights).expanduser()
    return ReleasedFuser(released.from_checkpoint(path, scan=config.scan)).eval()
