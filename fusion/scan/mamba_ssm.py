"""The selective scan of the package mamba_ssm, the CUDA kernel used by the authors' code.

The package is imported at the first scan, because it only builds against a CUDA build of torch.
"""

import importlib.util

import torch
from torch import Tensor

from common.errors import DeviceError

INSTALL = "pip install --no-build-isolation -e '.[cuda]'"


def problem() -> str | None:
    """Why the package cannot be used on this machine and how to fix it, or None."""
    if torch.version.cuda is None:
        return f"needs a CUDA build of torch; install one, then `{INSTALL}`"
    if importlib.util.find_spec("mamba_ssm") is None:
        return f"mamba_ssm is not installed; with the CUDA build of torch in place: `{INSTALL}`"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device; use auto or numba"
    return None


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
) -> Tensor:
    """See ``fusion.scan.selective_scan``; raises for float64 and for tensors on the CPU."""
    if not u.is_cuda or u.dtype == torch.float64:
        raise DeviceError(
            f"scan backend 'mamba_ssm' works in float32 on CUDA, not in {u.dtype} on {u.device}: "
            "choose auto or reference"
        )
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    # the kernel needs one dtype for all tensors with tokens, and float32 for the weights
    y: Tensor = selective_scan_fn(
        u,  # [b, d, l]
        delta.to(u.dtype),  # [b, d, l]
        A.to(torch.float32),  # [d, n]
        B.to(u.dtype),  # [b, g, n, l]
        C.to(u.dtype),  # [b, g, n, l]
        None if D is None else D.to(torch.float32),  # [d]
        delta_bias=None if delta_bias is None else delta_bias.to(torch.float32),  # [d]
        delta_softplus=delta_softplus,
    )
    return y
