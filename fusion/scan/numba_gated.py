"""The gated scan for inference on the CPU, of sequences given in pieces.

Two kernels on channels-last tokens, each one pass over its arrays: the convolution with SiLU, and
the scan, as in ``numba_map``, with the gate. The product with ``x_weight`` between them is torch's.
The kernels compute in buffers of their own, which the compiler knows not to overlap, and copy with
unsigned indices, which cannot count from an array's end; otherwise their loops are not vectorised.
Pieces of about a thousand tokens stay in the cache from one operation to the next.
"""

from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.autograd.profiler import record_function

from fusion.scan import threads
from fusion.scan.gated import TAPS, GatedWeights
from fusion.scan.numba_kernels import Floats, _exact, _loops, _sigmoid
from fusion.scan.numba_map import (
    _INFLOW,
    _LINES,
    _OUT,
    LANES,
    Numbers,
    _advance,
    _array,
    _blocks,
    _narrow,
    _widen,
)

CHUNK = 32  # tokens; the buffers fit the L1 cache
_TASK = 1 << 16  # fewest state updates worth a thread
_LOG2_E = float(np.log2(np.e))


class Stream:
    """The function of ``gated_scan`` without gradient; each call continues the sequence."""

    def __init__(self, weights: GatedWeights) -> None:
        """Bring the weights into the kernels' layout; the sequence begins at the first call."""
        self._conv = weights.conv_weight.float().transpose(1, 2).contiguous()  # [G, TAPS, E]
        self._bias = weights.conv_bias.float().contiguous()  # [G, E]
        self._x_weight = weights.x_weight.transpose(1, 2)  # [G, E, R + 2N]
        dt_weight = weights.dt_weight.float().transpose(1, 2)  # [G, R, E]
        step = torch.cat((dt_weight, weights.dt_bias[:, None], weights.D[:, None]), 1)
        self._step = _blocks(step.float())  # [G, blocks, R + 2, LANES]
        self._rate = _blocks(weights.A.float().transpose(1, 2) * _LOG2_E)  # [G, blocks, N, LANES]
        self._tail = self._states = torch.empty(0)

    def __call__(self, xz: Tensor) -> Tensor:
        """The next tokens, float32 or bfloat16 [G, B, L, 2E], to [G, B, L, E]; L at least 1."""
        groups, batch, length, inner = *xz.shape[:3], xz.shape[3] // 2
        if not len(self._states):
            self._tail = xz.new_zeros(groups, batch, TAPS - 1, inner)
            self._states = torch.zeros(groups, batch, *self._rate.shape[1:])
        c = xz.new_empty(groups, batch, length, inner)
        y = torch.empty_like(c)
        blocks = self._rate.shape[1]
        workers = threads.count(c.numel() * self._rate.shape[2], _TASK)
        tasks = list(product(range(groups), range(batch), range(blocks)))
        conv, bias, step, rate = (
            t.numpy() for t in (self._conv, self._bias, self._step, self._rate)
        )
        states, tails, given, convolved, out = (
            _array(t) for t in (self._states, self._tail, xz, c, y)
        )

        def convolve_block(group: int, image: int, block: int) -> None:
            convolve(
                given[group, image],
                tails[group, image],
                conv[group],
                bias[group],
                LANES * block,
                convolved[group, image],
            )

        def scan_block(group: int, image: int, block: int) -> None:
            scan_gated(
                convolved[group, image],
                given[group, image],
                shared[group, image],
                rate[group, block],
                step[group, block],
                states[group, image, block],
                LANES * block,
                out[group, image],
            )

        with record_function("selective_scan"):
            threads.run(workers, convolve_block, tasks)
        x_weight = self._x_weight.to(c.dtype)  # [G, E, R + 2N]
        projected = torch.bmm(c.flatten(1, 2), x_weight).float()  # [G, B L, R + 2N]
        shared = projected.view(groups, batch, length, -1).numpy()
        with record_function("selective_scan"):
            threads.run(workers, scan_block, tasks)
        return y


@_exact
def _silu(x: np.float32) -> np.float32:
    return x * _sigmoid(x)


@_loops
def convolve(
    xz: Numbers, tail: Numbers, weight: Floats, bias: Floats, first: int, c: Numbers
) -> None:
    """SiLU of the causal depthwise convolution of L tokens, for at most LANES of E channels.

    Args:
        xz: [L, 2E], of which the first half is convolved, float32 or bfloat16 as uint16.
        tail: [TAPS − 1, E] like ``xz``: the tokens before the first; then those before L.
        weight: [TAPS, E].
        bias: [E].
        first: The first channel.
        c: [L, E] like ``xz``, output.
    """
    length, inner = c.shape
    last = TAPS - 1
    at, lanes = np.uintp(first), np.uintp(min(LANES, inner - first))
    kernel = np.zeros((TAPS + 1, LANES), np.float32)
    w = np.zeros((CHUNK + last, LANES), np.float32)
    for e in range(lanes):
        kernel[TAPS, e] = bias[at + e]
        for j in range(TAPS):
            kernel[j, e] = weight[j, at + e]
        for j in range(last):
            w[j, e] = _widen(tail[j, at + e])
    for begin in range(0, length, CHUNK):
        count = min(CHUNK, length - begin)
        for t in range(count):
            for e in range(lanes):
                w[last + t, e] = _widen(xz[np.uintp(begin + t), at + e])
        for t in range(count):
            for e in range(LANES):
                total = kernel[TAPS, e]
                for j in range(TAPS):
                    total += kernel[j, e] * w[t + j, e]
                w[t, e] = _silu(total)  # the token before, which is not needed any more
            for e in range(lanes):
                c[np.uintp(begin + t), at + e] = _narrow(w[t, e], c[np.uintp(begin + t), at + e])
        for j in range(last):
            for e in range(LANES):
                w[j, e] = w[count + j, e]
    for j in range(last):
        for e in range(lanes):
            tail[j, at + e] = _narrow(w[j, e], tail[j, at + e])


@_loops
def scan_gated(
    c: Numbers,
    xz: Numbers,
    projected: Floats,
    rate: Floats,
    weight: Floats,
    h: Floats,
    first: int,
    y: Numbers,
) -> None:
    """Scan the next L tokens and gate them, for at most LANES of E channels.

    Args:
        c: [L, E], the convolved tokens, float32 or bfloat16 as uint16.
        xz: [L, 2E] like ``c``; the second half is the gate.
        projected: [L, R + 2N]: the low-rank step, B and C.
        rate: [N, LANES], A log2(e).
        weight: [R + 2, LANES]: weights of the low-rank step, its bias, and D.
        h: [N, LANES], the state before the first token; then that after the last.
        first: The first channel.
        y: [L, E] like ``c``, output.
    """
    length, inner = c.shape
    at, lanes = np.uintp(first), np.uintp(min(LANES, inner - first))
    gate = np.uintp(inner + first)
    w = np.zeros((CHUNK, _LINES, LANES), np.float32)
    shared = np.empty((CHUNK, projected.shape[1]), np.float32)
    own = h.copy()
    for begin in range(0, length, CHUNK):
        count = min(CHUNK, length - begin)
        for t in range(count):
            for e in range(lanes):
                w[t, _INFLOW, e] = _widen(c[np.uintp(begin + t), at + e])
            for k in range(projected.shape[1]):
                shared[t, k] = projected[begin + t, k]
        _advance(shared, count, rate, weight, own, w)
        for t in range(count):
            for e in range(lanes):  # the inflow is used up
                w[t, _INFLOW, e] = _widen(xz[np.uintp(begin + t), gate + e])
            for e in range(LANES):
                w[t, _OUT, e] *= _silu(w[t, _INFLOW, e])
            for e in range(lanes):
                y[np.uintp(begin + t), at + e] = _narrow(
                    w[t, _OUT, e], y[np.uintp(begin + t), at + e]
                )
    for n in range(len(h)):  # ``h[:] = own`` takes five seconds more to compile
        for e in range(LANES):
            h[n, e] = own[n, e]
