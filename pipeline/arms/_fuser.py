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
    """A fuser on 8-bit pairs."""

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
            fuser: It is converted for good.
            device: Where the batches are.
            dtype: What a network computes in.
            config: The settings that it was built from; None for an arm that just fuses.
        """
        super().__init__(config or ArmConfig())
        if isinstance(fuser, nn.Module):
            fuser = fuser.to(device).eval()
            for part in fuser.modules():
                # once here, where autocast would convert them at every call
                if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d):
                    part.to(dtype)
        else:
            dtype = torch.float32  # a formula: nothing in it takes long enough
        keep_freed_memory()
        self._fuser, self._device, self._dtype = fuser, device, dtype

    @torch.inference_mode()
    def __call__(self, batch: PairBatch) -> Tensor:
        """Fuse and round to 8 bit, uint8 [B, 3, H, W]."""
        ir, vis = batch.ir.float() / 255, batch.vis.float() / 255  # [B, 1, H, W], [B, 3, H, W]
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            fused = self._fuser(ir=ir, vis=vis)  # [B, 3, H, W]
        if fused.shape != batch.vis.shape:
            raise DataError(f"a fuser gave {tuple(fused.shape)}, not {tuple(batch.vis.shape)}")
        if not torch.isfinite(fused).all():
            raise DataError(f"a fuser gave NaN or infinite values at pair {batch.keys[0]} ff.")
        return quantize(fused)


def quantize(image: Tensor) -> Tensor:
    """Float [...] in [0, 1] to uint8, rounded to the nearest level (halves to the even one)."""
    return (image.float() * 255).round_().clamp_(0, 255).to(torch.uint8)
