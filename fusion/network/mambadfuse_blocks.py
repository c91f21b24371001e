"""The blocks of MambaDFuse on groups of token sequences [G, B, L, C].

Modules only hold weights, under the names of the authors' files. ``Gated`` and ``Norms`` compute
with those of several modules at once, a group each: the two modalities, or the three branches of an
M3 block, so that they are one scan.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.network.dvss import step_rank
from fusion.scan.gated import TAPS, GatedWeights, gated_scan, in_pieces

STATE = 16  # N of the authors' code
EPS = 1e-5


class Branch(NamedTuple):
    """The weights of a gated scan with its linear layer, of one group or stacked."""

    linear_in: Tensor  # [2E, C]
    conv_weight: Tensor  # [E, 1, TAPS]
    conv_bias: Tensor  # [E]
    x_weight: Tensor  # [R + 2N, E]
    dt_weight: Tensor  # [E, R]
    dt_bias: Tensor  # [E]
    A_log: Tensor  # [E, N]
    D: Tensor  # [E]


class Gated:
    """The gated scans of G branches: S(v; P), a group each."""

    def __init__(self, branches: Sequence[Branch], like: Tensor, backend: str) -> None:
        """Stack the weights.

        Args:
            branches: The weights of each group.
            like: A tensor of the dtype and device of the tokens.
            backend: The backend of the scan, a name or "auto".
        """
        all_groups = Branch(*(torch.stack(tensors) for tensors in zip(*branches, strict=True)))
        at_least_float32 = torch.promote_types(all_groups.A_log.dtype, torch.float32)
        weights = GatedWeights(
            all_groups.conv_weight.squeeze(2),  # [G, E, TAPS]
            *all_groups[2:6],
            -torch.exp(all_groups.A_log.to(at_least_float32)),  # [G, E, N]
            all_groups.D,
        )
        self._linear_in = all_groups.linear_in.transpose(1, 2)  # [G, C, 2E]
        self._scan = gated_scan(weights, like, backend)
        self.in_pieces = in_pieces(weights, like, backend)

    def __call__(self, v: Tensor) -> Tensor:
        """Float [G, B, L, C] to [G, B, L, E]."""
        xz = torch.bmm(v.flatten(1, 2), self._linear_in)  # [G, B L, 2E]
        return self._scan(xz.view(*v.shape[:3], -1))


class Norms:
    """Layer normalisations over the channels, a group each."""

    def __init__(self, norms: Sequence[nn.LayerNorm]) -> None:
        self._weight = torch.stack([norm.weight for norm in norms])[:, None, None]  # [G, 1, 1, C]
        self._bias = torch.stack([norm.bias for norm in norms])[:, None, None]

    def __call__(self, x: Tensor) -> Tensor:
        """Float [G, B, L, C] to the same shape."""
        normal = functional.layer_norm(x, x.shape[-1:], eps=EPS)
        return torch.addcmul(self._bias, normal, self._weight)


class StepProjection(nn.Module):
    """The weights from the low-rank step to that of each channel; in 32 bits, as all of the scan.

    It is no ``nn.Linear``, which a run in bfloat16 would convert.
    """

    def __init__(self, rank: int, inner: int, *, small: bool) -> None:
        """Draw the weights.

        Args:
            rank: R.
            inner: Channels E.
            small: Whether steps begin log-uniform in [0.001, 0.1], else near 0.7.
        """
        super().__init__()
        bound = rank**-0.5
        self.weight = nn.Parameter(torch.empty(inner, rank).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(inner).uniform_(-bound, bound))
        if small:
            with torch.no_grad():
                step = self.bias.uniform_(math.log(1e-3), math.log(1e-1)).exp()
                self.bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse softplus


class Mamba(nn.Module):
    """The weights of Mamba: W_out S(v; P)."""

    def __init__(self, width: int) -> None:
        """Draw weights for C = ``width`` channels."""
        super().__init__()
        inner, rank = 2 * width, step_rank(width)
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, TAPS, groups=inner)
        self.x_proj = nn.Linear(inner, rank + 2 * STATE, bias=False)
        self.dt_proj = StepProjection(rank, inner, small=True)
        self.A_log = nn.Parameter(torch.arange(1.0, STATE + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def branch(self) -> Branch:
        """The weights of S."""
        return _branch(self.in_proj, self.conv1d, self.x_proj, self.dt_proj, self.A_log, self.D)


class MultiModalMamba(Mamba):
    """The weights of an M3 block's three scans: of the fused features, modality 2, modality 1."""

    def __init__(self, width: int) -> None:
        """Draw weights for C = ``width`` channels."""
        super().__init__(width)
        inner, rank = 2 * width, step_rank(width)
        self.in_proj_extra1 = nn.Linear(width, 2 * inner, bias=False)
        self.in_proj_extra2 = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d_b = nn.Conv1d(inner, inner, TAPS, groups=inner)
        self.conv1d_c = nn.Conv1d(inner, inner, TAPS, groups=inner)
        self.x_proj_b = nn.Linear(inner, rank + 2 * STATE, bias=False)
        self.x_proj_c = nn.Linear(inner, rank + 2 * STATE, bias=False)
        self.dt_proj_b = StepProjection(rank, inner, small=False)  # a slip of the authors' code
        self.dt_proj_c = StepProjection(rank, inner, small=False)
        self.A_b_log = nn.Parameter(self.A_log.detach().clone())  # of both b and c, another slip
        self.D_b = nn.Parameter(torch.ones(inner))
        self.D_c = nn.Parameter(torch.ones(inner))

    def branches(self) -> tuple[Branch, Branch, Branch]:
        """The weights P, Pb and Pc."""
        b = _branch(
            self.in_proj_extra1,
            self.conv1d_b,
            self.x_proj_b,
            self.dt_proj_b,
            self.A_b_log,
            self.D_b,
        )
        c = _branch(
            self.in_proj_extra2,
            self.conv1d_c,
            self.x_proj_c,
            self.dt_proj_c,
            self.A_b_log,
            self.D_c,
        )
        return self.branch(), b, c


def _branch(
    linear_in: nn.Linear,
    conv: nn.Conv1d,
    x: nn.Linear,
    step: StepProjection,
    A_log: Tensor,
    D: Tensor,
) -> Branch:
    assert conv.bias is not None
    return Branch(
        linear_in.weight, conv.weight, conv.bias, x.weight, step.weight, step.bias, A_log, D
    )


class Norm(nn.Module):
    """Holds a layer normalisation, as the authors' files name it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.LayerNorm(width, eps=EPS)


class ChainBlock(nn.Module):
    """The weights of one block of a chain."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = Mamba(width)
        self.norm = Norm(width)


class Exchange(nn.Module):
    """The weights of one exchange of channels between the modalities."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.I1encoder = Mamba(width)
        self.I2encoder = Mamba(width)
        self.norm1 = Norm(width)
        self.norm2 = Norm(width)


class M3Block(nn.Module):
    """The weights of one multi-modal Mamba block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.multi_modal_mamba_block = MultiModalMamba(width)
        self.norm1 = Norm(width)
        self.norm2 = Norm(width)
        self.norm3 = Norm(width)
        self.dwconv = nn.Conv2d(width, width, kernel_size=3, padding=1, groups=width)


class Mambas:
    """Mamba(LN(r)) of G groups."""

    def __init__(
        self, modules: Sequence[Mamba], norms: Sequence[Norm], like: Tensor, backend: str
    ) -> None:
        self._norms = Norms([norm.body for norm in norms])
        self._gated = Gated([module.branch() for module in modules], like, backend)
        linear_out = torch.stack([module.out_proj.weight for module in modules])  # [G, C, E]
        self._linear_out = linear_out.transpose(1, 2)
        self.in_pieces = self._gated.in_pieces

    def __call__(self, r: Tensor, *, exchanged: bool = False) -> Tensor:
        """Float [G, B, L, C] to the same shape.

        Args:
            r: The tokens.
            exchanged: Whether the two groups swap the even channels after the normalisation.
        """
        v = self._norms(r)
        if exchanged:
            v = swap_even(v)
        s = self._gated(v)  # [G, B, L, E]
        return torch.bmm(s.flatten(1, 2), self._linear_out).view(r.shape)


def swap_even(x: Tensor) -> Tensor:
    """Swap channels 0, 2, 4, ... of two groups: [2, B, L, C] to a new tensor of the same shape."""
    even = torch.arange(x.shape[-1], device=x.device) % 2 == 0  # [C]
    return torch.where(even, x.flip(0), x)
