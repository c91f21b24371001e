"""Mamba's gated scan of token sequences: a causal convolution, the selective scan, and a gate."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from fusion.scan.backends import choose

TAPS = 4  # tokens that the convolution sees

GatedScan = Callable[[Tensor], Tensor]  # [G, B, L, 2E] to [G, B, L, E]


class GatedWeights(NamedTuple):
    """The weights of G gated scans with E channels, a state of N and a step of rank R."""

    conv_weight: Tensor  # [G, E, TAPS]
    conv_bias: Tensor  # [G, E]
    x_weight: Tensor  # [G, R + 2N, E]
    dt_weight: Tensor  # [G, E, R]
    dt_bias: Tensor  # [G, E]
    A: Tensor  # [G, E, N], negative
    D: Tensor  # [G, E]


def gated_scan(weights: GatedWeights, like: Tensor, backend: str = "auto") -> GatedScan:
    """The gated scan of G groups of sequences: a function of ``(x, z)``, [G, B, L, 2E].

    With x the first E channels and z the others, for each group, t from 0, zeros before it:

        c_t = SiLU(conv_bias + sum_j conv_weight_j x_(t−3+j)), j = 0 to 3
        [d_t, B_t, C_t] = x_weight c_t, delta_t = softplus(dt_weight d_t + dt_bias)
        h_t = exp(delta_t A) h_(t−1) + delta_t B_t c_t, y_t = <C_t, h_t> + D c_t
        result y_t SiLU(z_t), float [G, B, L, E]

    It is Mamba's block without its linear layers (Gu and Dao, 2023). Each call begins a sequence,
    except where ``in_pieces`` says so: there it goes on with the sequence of the call before.

    Args:
        weights: The weights of all groups.
        like: A tensor of the dtype and device of the arguments, which tells whether they have
            gradients.
        backend: A name of ``BACKENDS``, or "auto".

    Raises:
        errors.DeviceError: The backend is unknown or cannot run on this machine.
    """
    stream = choose(backend, like).stream
    if stream is not None and in_pieces(weights, like, backend):
        return stream(weights)
    return lambda xz: _of_whole(xz, weights, backend)


def in_pieces(weights: GatedWeights, like: Tensor, backend: str = "auto") -> bool:
    """Whether the function of ``gated_scan`` takes sequences in pieces, one after another.

    It does without gradients on a backend that can: numba on the CPU, in float32 and bfloat16.
    """
    graph = torch.is_grad_enabled() and any(t.requires_grad for t in (like, *weights))
    fits = like.device.type == "cpu" and like.dtype in (torch.float32, torch.bfloat16)
    return fits and not graph and choose(backend, like).stream is not None


def _of_whole(xz: Tensor, weights: GatedWeights, backend: str) -> Tensor:
    """The gated scan of whole sequences by ``selective_scan``; differentiable."""
    x, z = xz.chunk(2, dim=-1)  # [G, B, L, E] each
    groups, batch, length, inner = x.shape
    padded = functional.pad(x, (0, 0, TAPS - 1, 0))  # [G, B, L + 3, E]
    taps = weights.conv_weight.unbind(-1)  # [G, E] each
    c = weights.conv_bias[:, None, None]
    for j, tap in enumerate(taps):
        c = c + tap[:, None, None] * padded[:, :, j : j + length]  # [G, B, L, E]
    tokens = functional.silu(c).permute(1, 0, 3, 2)  # [B, G, E, L]
    rank, state = weights.dt_weight.shape[2], weights.A.shape[2]
    projected = weights.x_weight @ tokens  # [B, G, R + 2N, L]
    dt_low, into, out_of = torch.split(projected, [rank, state, state], dim=2)
    y = choose(backend, x).scan(
        tokens.flatten(1, 2),  # [B, G E, L]
        (weights.dt_weight @ dt_low).flatten(1, 2),  # [B, G E, L]
        weights.A.flatten(0, 1),
        into,  # [B, G, N, L]
        out_of,  # [B, G, N, L]
        weights.D.flatten(),
        weights.dt_bias.flatten(),
        True,
    )
    y = y.view(batch, groups, inner, length).permute(1, 0, 3, 2)  # [G, B, L, E]
    return y * functional.silu(z)
