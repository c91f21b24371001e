"""Where and in which precision a run computes."""

from typing import Literal

import torch

from common.errors import DeviceError

Dtype = Literal["auto", "float32", "bfloat16"]
DTYPES = "float32, bfloat16, or auto (bfloat16 where the processor computes in it)"


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype of a ``Dtype``; `auto` is bfloat16 where the hardware supports it."""
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else torch.float32


def choose_device(name: str) -> torch.device:
    """The device of ``compute.device``; `auto` is a GPU if there is one.

    Raises:
        DeviceError: The GPU doesn't exist.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"compute.device: {name} does not exist ({torch.cuda.device_count()} GPUs do); use "
            "compute.device=cpu, or install a torch with CUDA (see `irvis doctor`)"
        )
    return device
