"""The arm that runs a fuser."""

import torch
from torch import Tensor, nn

from common.component import ArmConfig
from common.errors import DataError
from common.memory import keep_freed_memory
from fusion.fuser import Fuser
from pipeline.frames import PairBatch
from pipeline.interfaces import Arm


class FuserArm(Arm):
    """Runs a fuser on 8-bit pairs."""

    def __init__(
        self,
        fuser: Fuser,
        *,
        device: torch.device,
        dtype: torch.dtype,
        config: ArmConfig | None = None,
    ) -> None:
        """Move a fuser to the device.

        Args:
            fuser: The fuser; a network is converted in place.
            device: The device of the batches.
            dtype: Dtype in which a network computes.
            config: The fuser's settings; None for the defaults.
        """
        super().__init__(config or ArmConfig())
        if isinstance(fuser, nn.Module):
            fuser = fuser.to(device).eval()
            for part in fuser.modules():
                # otherwise autocast would convert the weights at every call
                if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d):
                    part.to(dtype)
        else:
            dtype = torch.float32  # formulas gain nothing from bfloat16
        keep_freed_memory()
        self._fuser, self._device, self._dtype = fuser, device, dtype

    @torch.inference_mode()
    def __call__(self, batch: PairBatch) -> Tensor:
        """Fuse and quantize, uint8 [B, 3, H, W]."""
        ir, vis = batch.ir.float() / 255, batch.vis.float() / 255  # [B, 1, H, W], [B, 3, H, W]
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            fused = self._fuser(ir=ir, vis=vis)  # [B, 3, H, W]
        if fused.shape != batch.vis.shape:
            raise DataError(f"a fuser gave {tuple(fused.shape)}, not {tuple(batch.vis.shape)}")
        if not torch.isfinite(fused).all():
            raise DataError(f"a fuser gave NaN or infinite values at pair {batch.keys[0]} ff.")
        return quantize(fused)


def quantize(image: Tensor) -> Tensor:
    """Convert float [...] in [0, 1] to uint8, rounded half to even."""
    return (image.float() * 255).round_().clamp_(0, 255).to(torch.uint8)
