# Triton has no type stubs.
# mypy: disable-error-code="import-not-found,import-untyped"
"""The selective scan on a GPU in one Triton kernel, and its gradient in another.

The state before each tile of tokens is kept for the gradient. For ES2D the result is written
directly to the pixels that the tokens came from. The gradients of B and C are summed over channels
by atomic additions, whose order varies from run to run.

The kernels also run on the CPU in Triton's interpreter, if ``TRITON_INTERPRET=1`` is set before
this module is imported.
"""

from typing import Any

import torch
import triton
from torch import Tensor
from torch.autograd.function import once_differentiable

from common.errors import DeviceError
from fusion.scan.triton_kernels import backward_kernel, forward_kernel

TILE = 64  # tokens


def problem() -> str | None:
    """Why the kernels cannot run on this machine, or None."""
    if torch.cuda.is_available() or triton.knobs.runtime.interpret:
        return None
    return "torch finds no CUDA device; use auto or numba"


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
    return _scan(u, delta, A, B, C, D, delta_bias, delta_softplus, None)


def scan_to_map(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    size: tuple[int, int],
) -> Tensor:
    """``selective_scan`` with softplus of a map's four sub-grids, scattered to its pixels.

    Args:
        u: float [B, 4E, L], the tokens in the order of ``fusion.scan.es2d.gather``.
        delta: float [B, 4E, L].
        A: float [4E, N].
        B: float [B, 4, N, L].
        C: float [B, 4, N, L].
        D: float [4E].
        delta_bias: float [4E].
        size: H and W, even, with H W = 4L.

    Returns:
        float [B, H, W, E] of the dtype of ``u``.
    """
    return _scan(u, delta, A, B, C, D, delta_bias, True, size)


def _scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    size: tuple[int, int] | None,
) -> Tensor:
    on_gpu = u.is_cuda or triton.knobs.runtime.interpret
    if not on_gpu or u.dtype == torch.float64:
        raise DeviceError(
            f"scan backend 'triton' works in float32 on CUDA, not in {u.dtype} on {u.device}: "
            "choose auto or reference"
        )
    none = torch.zeros(A.shape[0], device=u.device)
    y: Tensor = _Scan.apply(
        u.contiguous(),
        delta.contiguous(),
        A.to(torch.float32).contiguous(),
        B.contiguous(),
        C.contiguous(),
        none if D is None else D.to(torch.float32).contiguous(),
        none if delta_bias is None else delta_bias.to(torch.float32).contiguous(),
        delta_softplus,
        size,
    )
    return y


class _Scan(torch.autograd.Function):
    """The scan of contiguous tensors: [b, d, l], or [b, H, W, d / 4] for a map."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:  # noqa: ANN401
        *tensors, softplus, size = arguments
        u, _, A, B, *_ = tensors
        batch, channels, length = u.shape
        y = u.new_empty(batch, *size, channels // 4) if size else torch.empty_like(u)
        kept = A.new_empty(batch, channels, triton.cdiv(length, TILE), A.shape[1])
        ctx.options = _options(u, A, B, softplus, size)
        with _device(u):
            forward_kernel[(channels, batch)](*tensors, y, kept, **ctx.options)
        ctx.save_for_backward(*tensors, kept)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        *tensors, kept = ctx.saved_tensors
        u, delta, A, B, C, D, _ = tensors
        batch, channels, _ = u.shape
        du, ddelta = torch.empty_like(u), torch.empty_like(delta)  # [b, d, l]
        dA = A.new_empty(batch, *A.shape)  # [b, d, n]
        dB = torch.zeros_like(B, dtype=torch.float32)  # [b, g, n, l]
        dC = torch.zeros_like(C, dtype=torch.float32)  # [b, g, n, l]
        dD, dbias = D.new_empty(batch, *D.shape), D.new_empty(batch, *D.shape)  # [b, d]
        out = (du, ddelta, dA, dB, dC, dD, dbias)
        with _device(u):
            backward_kernel[(channels, batch)](*tensors, kept, dy.contiguous(), *out, **ctx.options)
        dB, dC = dB.to(B.dtype), dC.to(C.dtype)
        return du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dbias.sum(0), None, None


def _device(u: Tensor) -> torch.cuda.device:
    """The context in which Triton launches on the GPU of ``u``; no effect for the CPU."""
    return torch.cuda.device(u.device.index if u.is_cuda else -1)


def _options(
    u: Tensor, A: Tensor, B: Tensor, softplus: bool, size: tuple[int, int] | None
) -> dict[str, int | bool]:
    """The arguments of both kernels besides tensors."""
    height, width = size or (2, 2)
    return {
        "channels": u.shape[1],
        "groups": B.shape[1],
        "length": u.shape[2],
        "state": A.shape[1],
        "height": height,
        "width": width,
        "SOFTPLUS": softplus,
        "MAP": size is not None,
        "BLOCK_L": TILE,
        "BLOCK_N": triton.next_power_of_2(A.shape[1]),
    }
