# Kernels are typed by Triton, not by annotations.
# mypy: disable-error-code="import-not-found,import-untyped,untyped-decorator,no-untyped-def"
# ruff: noqa: ANN001, ANN202
"""The selective scan on a GPU in one Triton kernel, and its gradient in another.

A program takes one channel of one image and a tile of tokens at a time; within a tile the
recurrence is an associative scan of the pairs (a, b) of h -> a h + b. Kept for the gradient is the
state before each tile. For ES2D the result goes straight to the pixels that the tokens came from.
The gradients of B and C are sums over channels by atomic additions, in an order that varies.

The kernels also run in Triton's interpreter on the CPU, where ``TRITON_INTERPRET=1`` was set before
this module was imported.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from common.errors import DeviceError

TILE = 64  # tokens
_LOG2_E = tl.constexpr(1.4426950408889634)


def problem() -> str | None:
    """Why the kernels cannot run here, or None."""
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
    """See ``fusion.scan.selective_scan``; float64 and tensors of the CPU are refused."""
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
    """``selective_scan`` with softplus of the four sub-grids of a map, put back to its pixels.

    Args:
        u: float [B, 4E, L], the tokens as ``fusion.scan.es2d.gather`` reads them.
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
    """The scan of contiguous tensors; the result is [b, d, l], or [b, H, W, d / 4] of a map."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:  # noqa: ANN401
        *tensors, softplus, size = arguments
        u, _, A, B, *_ = tensors
        batch, channels, length = u.shape
        y = u.new_empty(batch, *size, channels // 4) if size else torch.empty_like(u)
        kept = A.new_empty(batch, channels, triton.cdiv(length, TILE), A.shape[1])
        ctx.options = _options(u, A, B, softplus, size)
        with _device(u):
            _forward_kernel[(channels, batch)](*tensors, y, kept, **ctx.options)
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
            _backward_kernel[(channels, batch)](
                *tensors, kept, dy.contiguous(), *out, **ctx.options
            )
        dB, dC = dB.to(B.dtype), dC.to(C.dtype)
        return du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dbias.sum(0), None, None


def _device(u: Tensor) -> torch.cuda.device:
    """The context in which Triton launches on the GPU of ``u``; it does nothing for the CPU."""
    return torch.cuda.device(u.device.index if u.is_cuda else -1)


def _options(
    u: Tensor, A: Tensor, B: Tensor, softplus: bool, size: tuple[int, int] | None
) -> dict[str, int | bool]:
    """What both kernels are told besides tensors."""
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


@triton.jit
def _combine(a1, b1, a2, b2):
    """First h -> a1 h + b1, then h -> a2 h + b2."""
    return a1 * a2, a2 * b1 + b2


@triton.jit
def _softplus(x):
    """max(x, 0) + log(1 + z), z = exp(−|x|), exact also where 1 + z rounds (Kahan's correction)."""
    z = tl.exp(-tl.abs(x))
    w = 1.0 + z
    log1p = tl.where(w == 1.0, z, tl.log(w) * z / tl.where(w == 1.0, 1.0, w - 1.0))
    return tl.maximum(x, 0.0) + log1p


@triton.jit
def _place(image, channel, channels, t, length, height, width, MAP: tl.constexpr):
    """Where the result of a channel's token ``t`` lies: see ``gather`` for the order of a map."""
    if MAP:
        inner = channels // 4
        k = channel // inner
        across = k % 2 == 0  # row by row
        i = tl.where(across, t // (width // 2), t % (height // 2))
        j = tl.where(across, t % (width // 2), t // (height // 2))
        pixel = (2 * i + k % 2) * width + 2 * j + k // 2
        return (image * height * width + pixel) * inner + channel % inner
    return (image * channels + channel) * length + t


@triton.jit
def _forward_kernel(
    u, delta, A, B, C, D, bias, y, kept,
    channels, groups, length, state, height, width,
    SOFTPLUS: tl.constexpr, MAP: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(0)
    image = tl.program_id(1).to(tl.int64)
    row = image * channels + channel
    shared = (image * groups + channel // (channels // groups)) * state * length
    n = tl.arange(0, BLOCK_N)
    is_state = n < state
    rate = tl.load(A + channel * state + n, is_state, 0.0) * _LOG2_E  # [N]
    skip, shift = tl.load(D + channel), tl.load(bias + channel)
    before = tl.zeros([BLOCK_N], tl.float32)
    tiles = tl.cdiv(length, BLOCK_L)
    for tile in range(tiles):
        t = tile * BLOCK_L + tl.arange(0, BLOCK_L)
        is_token = t < length
        both = is_token[:, None] & is_state[None, :]
        lines = shared + n[None, :] * length + t[:, None]  # [L, N]
        tl.store(kept + (row * tiles + tile) * state + n, before, is_state)
        x = tl.load(u + row * length + t, is_token, 0.0).to(tl.float32)  # [L]
        step = tl.load(delta + row * length + t, is_token, 0.0).to(tl.float32) + shift
        if SOFTPLUS:
            step = _softplus(step)
        step = tl.where(is_token, step, 0.0)  # a token that is not there leaves the state alone
        into = tl.load(B + lines, both, 0.0).to(tl.float32)  # [L, N]
        out_of = tl.load(C + lines, both, 0.0).to(tl.float32)  # [L, N]
        decay = tl.exp2(step[:, None] * rate[None, :])
        inflow = (step * x)[:, None] * into
        since, fresh = tl.associative_scan((decay, inflow), 0, _combine)
        h = fresh + since * before[None, :]  # [L, N]
        result = tl.sum(h * out_of, 1) + skip * x
        places = _place(image, channel, channels, t, length, height, width, MAP)
        tl.store(y + places, result, is_token)
        before = tl.sum(tl.where(tl.arange(0, BLOCK_L)[:, None] == BLOCK_L - 1, h, 0.0), 0)


@triton.jit
def _backward_kernel(
    u, delta, A, B, C, D, bias, kept, dy, du, ddelta, dA, dB, dC, dD, dbias,
    channels, groups, length, state, height, width,
    SOFTPLUS: tl.constexpr, MAP: tl.constexpr, BLOCK_L: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    # m_t, the gradient of h_t, is C_t dy_t + a_(t+1) m_(t+1): a scan from the last token on
    channel = tl.program_id(0)
    image = tl.program_id(1).to(tl.int64)
    row = image * channels + channel
    shared = (image * groups + channel // (channels // groups)) * state * length
    n = tl.arange(0, BLOCK_N)
    is_state = n < state
    rate = tl.load(A + channel * state + n, is_state, 0.0)  # [N]
    skip, shift = tl.load(D + channel), tl.load(bias + channel)
    after = tl.zeros([BLOCK_N], tl.float32)  # m of the token after the tile
    to_rate = tl.zeros([BLOCK_N], tl.float32)
    to_skip = tl.zeros([BLOCK_L], tl.float32)
    to_shift = tl.zeros([BLOCK_L], tl.float32)
    tiles = tl.cdiv(length, BLOCK_L)
    for back in range(tiles):
        tile = tiles - 1 - back
        t = tile * BLOCK_L + tl.arange(0, BLOCK_L)
        is_token = t < length
        is_next = t + 1 < length
        both = is_token[:, None] & is_state[None, :]
        lines = shared + n[None, :] * length + t[:, None]  # [L, N]
        before = tl.load(kept + (row * tiles + tile) * state + n, is_state, 0.0)  # [N]
        x = tl.load(u + row * length + t, is_token, 0.0).to(tl.float32)  # [L]
        raw = tl.load(delta + row * length + t, is_token, 0.0).to(tl.float32) + shift
        step = raw
        later = tl.load(delta + row * length + t + 1, is_next, 0.0).to(tl.float32) + shift
        if SOFTPLUS:
            step = _softplus(step)
            later = _softplus(later)
        step = tl.where(is_token, step, 0.0)
        later = tl.where(is_next, later, 0.0)
        places = _place(image, channel, channels, t, length, height, width, MAP)
        slant = tl.load(dy + places, is_token, 0.0).to(tl.float32)  # [L]
        into = tl.load(B + lines, both, 0.0).to(tl.float32)  # [L, N]
        out_of = tl.load(C + lines, both, 0.0).to(tl.float32)  # [L, N]
        inflow = (step * x)[:, None] * into
        decay = tl.exp2(step[:, None] * (rate * _LOG2_E)[None, :])
        since, fresh = tl.associative_scan((decay, inflow), 0, _combine)
        h = fresh + since * before[None, :]  # [L, N]
        decay = tl.exp2(later[:, None] * (rate * _LOG2_E)[None, :])  # of the next token
        until, fresh = tl.associative_scan(
            (decay, slant[:, None] * out_of), 0, _combine, reverse=True
        )
        m = fresh + until * after[None, :]  # [L, N]
        after = tl.sum(tl.where(tl.arange(0, BLOCK_L)[:, None] == 0, m, 0.0), 0)
        through = m * (h - inflow)  # m_t a_t h_(t-1)
        to_inflow = tl.sum(m * into, 1)  # [L]
        to_step = tl.sum(through * rate[None, :], 1) + x * to_inflow  # [L]
        if SOFTPLUS:
            to_step = to_step * tl.sigmoid(raw)
        tl.store(du + row * length + t, skip * slant + step * to_inflow, is_token)
        tl.store(ddelta + row * length + t, to_step, is_token)
        tl.atomic_add(dB + lines, (step * x)[:, None] * m, both)
        tl.atomic_add(dC + lines, slant[:, None] * h, both)
        to_rate += tl.sum(step[:, None] * through, 0)
        to_skip += slant * x
        to_shift += tl.where(is_token, to_step, 0.0)
    tl.store(dA + row * state + n, to_rate, is_state)
    tl.store(dD + row, tl.sum(to_skip, 0))
    tl.store(dbias + row, tl.sum(to_shift, 0))
