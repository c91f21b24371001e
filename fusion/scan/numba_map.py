"""ES2D for inference on the CPU: a kernel that scans a whole channels-last feature map.

Unlike ``numba_kernels``, it vectorises over adjacent channels instead of the state. They are
contiguous in memory, so no map is transposed, no sum runs across a register, and results are
written directly to the pixels of their tokens. The step is computed in the kernel from its R
low-rank numbers. There is no gradient.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.profiler import record_function
from torch.nn import functional

from fusion.scan import threads
from fusion.scan.numba_kernels import (
    _P0,
    _P1,
    _P2,
    _P3,
    _P4,
    _P5,
    Floats,
    _exact,
    _loops,
    _softplus,
)

CHUNK = 64  # tokens; the buffers fit the L1 cache
LANES = 64  # channels at a time: four AVX-512 registers, enough to hide the latency of each step
_TASK = 1 << 16  # fewest state updates worth a thread
_LEAST, _WHOLE, _ONE = np.float32(-126), np.float32(3 << 22), np.float32(1)
_LOG2_E = float(np.log2(np.e))
_STEP, _INFLOW, _OUT, _LINES = range(4)

Numbers = NDArray[Any]  # float32, or bfloat16 as uint16: numpy has no bfloat16


def scan_map(
    x: Tensor, x_weight: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> Tensor:
    """``fusion.scan.es2d.es2d_scan`` without gradient, on the CPU, all of A negative.

    ``x`` is float32 or bfloat16, which is also the dtype of the projection and of the result.
    """
    batch, height, width, inner = x.shape
    tokens = x.new_empty(batch, 4, height // 2, width // 2, inner)  # row by row for all k
    for k in range(4):
        tokens[:, k].copy_(x[:, k % 2 :: 2, k // 2 :: 2])
    x_weight = x_weight.to(x.dtype).transpose(1, 2)  # [4, E, R + 2N]
    projected = tokens.flatten(2, 3) @ x_weight  # [B, 4, H W/4, R + 2N]
    projected = projected.float().view(*tokens.shape[:4], -1)  # [B, 4, H/2, W/2, R + 2N]
    of_step = torch.cat(
        (dt_weight.transpose(1, 2), dt_bias[:, None], D.view(4, 1, inner)), 1
    )  # [4, R + 2, E]
    rate = A.float().view(4, inner, -1).transpose(1, 2) * _LOG2_E  # [4, N, E]
    y = torch.empty_like(x, memory_format=torch.contiguous_format)  # [B, H, W, E]
    grids, steps, weights, rates, out = (
        _array(t) for t in (tokens, projected, _blocks(of_step.float()), _blocks(rate), y)
    )

    def run(k: int, image: int, blocks: slice) -> None:
        first = LANES * blocks.start
        of_blocks = (weights[k, blocks], rates[k, blocks])
        scan_grid(grids[image, k], steps[image, k], *of_blocks, k, first, out[image])

    workers = threads.count(x.numel() * rate.shape[1], _TASK)
    with record_function("selective_scan"):
        threads.run(workers, run, _tasks(batch, -(-inner // LANES), workers))
    return y


def _blocks(values: Tensor) -> Tensor:
    """[4, n, E] as [4, blocks, n, LANES], padded with zeros."""
    padded = functional.pad(values, (0, -values.shape[-1] % LANES))
    return torch.unflatten(padded, -1, (-1, LANES)).transpose(1, 2).contiguous()


def _tasks(batch: int, blocks: int, workers: int) -> Iterator[tuple[int, int, slice]]:
    """Direction, image and blocks of channels; two tasks per thread where possible."""
    parts = min(blocks, -(-2 * workers // (4 * batch)))
    for k in range(4):
        for image in range(batch):
            for part in range(parts):
                yield k, image, slice(blocks * part // parts, blocks * (part + 1) // parts)


def _array(tensor: Tensor) -> Numbers:
    plain = tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor
    array: Numbers = plain.detach().numpy()
    return array


def _widen(number: Any) -> Any:  # noqa: ANN401
    """Convert float32, or bfloat16 as uint16, to float32."""


def _narrow(number: Any, like: Any) -> Any:  # noqa: ANN401
    """Convert float32 to the type of ``like``, rounding half to even."""


@overload(_widen)
def _widen_for(number: Any) -> Any:  # noqa: ANN401
    def shifted(number: Any) -> Any:  # noqa: ANN401
        return np.uint32(np.uint32(number) << np.uint32(16)).view(np.float32)

    def same(number: Any) -> Any:  # noqa: ANN401
        return number

    return shifted if isinstance(number, types.Integer) else same


@overload(_narrow)
def _narrow_for(number: Any, like: Any) -> Any:  # noqa: ANN401
    def rounded(number: Any, like: Any) -> Any:  # noqa: ANN401
        bits = np.float32(number).view(np.uint32)
        odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
        return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))

    def same(number: Any, like: Any) -> Any:  # noqa: ANN401
        return number

    return rounded if isinstance(like, types.Integer) else same


@_exact
def _decay(x: np.float32) -> np.float32:
    """2^x for x <= 0 in fewer steps than ``_exp2``: adding 3 2^22 rounds z to a whole number.

    The polynomial is in pairs, whose products don't wait for one another.
    """
    x = _LEAST if x < _LEAST else x
    z = np.float32(x + _WHOLE)
    f = x - (z - _WHOLE)
    g = f * f
    q = (_P0 + f * _P1) + g * ((_P2 + f * _P3) + g * (_P4 + f * _P5))
    p = np.float32(_ONE + f * q)
    return np.int32(p.view(np.int32) + np.int32(z.view(np.int32) << np.int32(23))).view(np.float32)


@njit(inline="always")
def _pixel(t: int, line: int, by_row: bool) -> tuple[int, int]:
    """Row and column of a token."""
    return (t // line, t % line) if by_row else (t % line, t // line)


@njit(inline="always")  # inlined, so that the compiler knows that the arrays do not overlap
def _advance(
    shared: Floats, count: int, rate: Floats, weight: Floats, h: Floats, w: Floats
) -> None:
    """Scan a block of channels over a chunk of tokens.

    All LANES are computed, even if there are fewer channels: with a constant trip count the loops
    use whole registers, which saves more time than the extra lanes take.
    """
    state, rank = len(rate), len(weight) - 2
    for t in range(count):
        for e in range(LANES):
            w[t, _STEP, e] = weight[rank, e]
        for r in range(rank):
            for e in range(LANES):
                w[t, _STEP, e] += shared[t, r] * weight[r, e]
        for e in range(LANES):
            w[t, _STEP, e] = _softplus(w[t, _STEP, e])
            w[t, _OUT, e] = w[t, _INFLOW, e] * weight[rank + 1, e]
            w[t, _INFLOW, e] *= w[t, _STEP, e]
    for t in range(count):
        for n in range(state):
            into, out_of = shared[t, rank + n], shared[t, rank + state + n]
            for e in range(LANES):
                new = _decay(w[t, _STEP, e] * rate[n, e]) * h[n, e] + w[t, _INFLOW, e] * into
                h[n, e] = new
                w[t, _OUT, e] += new * out_of


@_loops
def scan_grid(
    x: Numbers,
    projected: Floats,
    weight: Floats,
    rate: Floats,
    k: int,
    first: int,
    y: Numbers,
) -> None:
    """Scan some blocks of channels of one sub-grid.

    Args:
        x: [H/2, W/2, E], float32 or bfloat16 as uint16.
        projected: [H/2, W/2, R + 2N]: the low-rank step, B and C.
        weight: [blocks, R + 2, LANES]: weights of the low-rank step, its bias, and D.
        rate: [blocks, N, LANES], A log2(e).
        k: Which sub-grid: its tokens are read row by row for 0 and 2, else column by column.
        first: The first channel.
        y: [H, W, E] like ``x``, output: the pixels of the sub-grid.
    """
    height, width, inner = x.shape
    by_row, top, left = k % 2 == 0, k % 2, k // 2
    line = width if by_row else height
    blocks, state, _ = rate.shape
    h = np.zeros((blocks, state, LANES), np.float32)
    w = np.zeros((CHUNK, _LINES, LANES), np.float32)
    shared = np.empty((CHUNK, projected.shape[2]), np.float32)
    for begin in range(0, height * width, CHUNK):
        count = min(CHUNK, height * width - begin)
        for t in range(count):
            i, j = _pixel(begin + t, line, by_row)
            for c in range(projected.shape[2]):
                shared[t, c] = projected[i, j, c]
        for block in range(blocks):
            # unsigned indices can't count from an array's end: only then are copies vectorised
            at = np.uintp(first + block * LANES)
            lanes = min(np.uintp(LANES), np.uintp(inner) - at)
            for t in range(count):
                i, j = _pixel(begin + t, line, by_row)
                for e in range(lanes):
                    w[t, _INFLOW, e] = _widen(x[i, j, at + e])
            _advance(shared, count, rate[block], weight[block], h[block], w)
            for t in range(count):
                i, j = _pixel(begin + t, line, by_row)
                row, column = np.uintp(2 * i + top), np.uintp(2 * j + left)
                for e in range(lanes):
                    y[row, column, at + e] = _narrow(w[t, _OUT, e], y[row, column, at + e])
