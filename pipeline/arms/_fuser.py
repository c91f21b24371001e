"""The arm that runs a fuser."""

from itertools import product

import torch
from torch import Tensor, nn

from common.component import ArmConfig
from common.device import Dtype, choose_dtype
from common.errors import ConfigError, DataError
from common.memory import keep_freed_memory
from fusion.fuser import Fuser
from pipeline.config.components import Component
from pipeline.frames import PairBatch
from pipeline.interfaces import Arm

BAND = 1 << 20  # pixels of a batch that a fuser takes at a time, where it can
WHOLE = 1 << 22  # as BAND, where it takes whole images; a network takes about 400 bytes a pixel
MARGINS = 8  # a band has so many rows for each one of its margin, which is fused twice


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
        """Fuse and round to 8 bit, uint8 [B, 3, H, W]."""
        count, _, height, width = batch.vis.shape
        margin = self.config.margin
        images, rows = count, height
        if margin is None:
            images = max(1, WHOLE // (height * width))
        else:
            rows = max(1, BAND // (count * width))
        if margin:
            rows = max(rows // margin, MARGINS) * margin
        fused = torch.empty_like(batch.vis)  # [B, 3, H, W]
        for first, top in product(range(0, count, images), range(0, height, rows)):
            some, above = slice(first, first + images), min(top, margin or 0)
            seen = slice(top - above, top + rows + (margin or 0))
            part = self._fuse(batch.ir[some, :, seen], batch.vis[some, :, seen], batch.keys[some])
            fused[some, :, top : top + rows] = part[:, :, above : above + rows]
        return fused

    def _fuse(self, ir: Tensor, vis: Tensor, keys: tuple[str, ...]) -> Tensor:
        """As ``__call__``, some images' rows: uint8 [b, 1, h, W], [b, 3, h, W] to [b, 3, h, W]."""
        shape = vis.shape
        ir, vis = ir.float() / 255, vis.float() / 255  # [b, 1, h, W], [b, 3, h, W]
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            fused = self._fuser(ir=ir, vis=vis)  # [b, 3, h, W]
        if fused.shape != shape:
            raise DataError(f"a fuser gave {tuple(fused.shape)}, not {tuple(shape)}")
        if not torch.isfinite(fused).all():
            raise DataError(f"a fuser gave NaN or infinite values at pair {keys[0]} ff.")
        return quantize(fused)


def quantize(image: Tensor) -> Tensor:
    """Convert float [...] in [0, 1] to uint8, rounded half to even."""
    return (image.float() * 255).round_().clamp_(0, 255).to(torch.uint8)


def build_fuser(component: Component, *, device: torch.device, dtype: Dtype) -> FuserArm:
    """Build the fuser of a component that makes an image from a pair.

    Raises:
        ConfigError: It makes none.
        errors.IrvisError: It can't be built.
    """
    settings = component.as_arm
    makes_image = settings.has_image and not settings.reads_images
    fuser = component.module.build(component.config) if makes_image else None
    if not callable(fuser):
        raise ConfigError(f"kind: {component.kind} makes no image from a pair")
    return FuserArm(fuser, device=device, dtype=choose_dtype(dtype, device), config=settings)
