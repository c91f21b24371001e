"""The blocks in which FusionMamba's released code differs from the paper.

The scan, ECA and depthwise convolution are the paper's, in es2d.py and layers.py.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.network.dvss import ESSM, step_rank
from fusion.network.es2d import ES2D
from fusion.network.layers import ECA, DWConv, FoldedConv

SQUEEZE = 8  # the gate of a block has C // 8 hidden channels, at least 1
MLP_RATIO = 4


class DescriptiveConv(FoldedConv):
    """LDC of the released code, which changes only the middle tap of the 3 x 3 kernel.

    The middle tap from channel i to channel o is w (1 − theta m[o, i] sum(w[o, i])), with the sum
    over the nine taps; the other taps are w.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.learnable_mask = nn.Parameter(torch.ones(channels, channels))  # m
        self.learnable_theta = nn.Parameter(torch.full((1,), 0.5))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as torch's convolutions

    def kernel(self) -> Tensor:
        """The kernel of the equivalent plain convolution, float [C, C, 3, 3]."""
        change = self.learnable_theta * self.learnable_mask * self.weight.sum(dim=(2, 3))  # [C, C]
        # the factor is 1 − change in the middle and 1 elsewhere
        factor = 1 - functional.pad(change[:, :, None, None], (1, 1, 1, 1))  # [C, C, 3, 3]
        return self.weight * factor


class Gate(nn.Module):
    """v sigmoid(W2 GELU(W1 GAP(LN(v)))), W1 from C to C // 8 channels, W2 back to C."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        hidden = max(1, width // SQUEEZE)
        self.global_reduce = nn.Linear(width, hidden)
        self.channel_select = nn.Linear(hidden, width)

    def forward(self, v: Tensor) -> Tensor:
        """Float [B, H, W, C] to float [B, H, W, C]."""
        pooled = self.norm(v).mean(dim=(1, 2), keepdim=True)  # [B, 1, 1, C]
        hidden = functional.gelu(self.global_reduce(pooled))  # [B, 1, 1, C // 8]
        return v * torch.sigmoid(self.channel_select(hidden))


class Block(nn.Module):
    """The released code's DVSS.

    s = ESSM(LN(f)), c = LDC(s + ECA(s)), g = f + gate(s) + gate(c), out = g + MLP(LN(g)). Both
    gates share their weights.
    """

    def __init__(self, width: int, scan: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.essm = ESSM(width, ES2D(2 * width, step_rank(width), scan))
        self.channel = ECA()
        self.local = DescriptiveConv(width)
        self.gate = Gate(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, MLP_RATIO * width), nn.GELU(), nn.Linear(MLP_RATIO * width, width)
        )

    def forward(self, f: Tensor) -> Tensor:
        """Float [B, H, W, C] to float [B, H, W, C]."""
        s = self.essm(self.norm(f))
        c = self.local(s + self.channel(s))
        g = f + self.gate(s) + self.gate(c)
        out: Tensor = g + self.mlp(self.norm2(g))
        return out


class CrossMixer(nn.Module):
    """The released code's CMFM, between its first LN and its ECA.

    (x1, z) and (x2, unused) = Linear_i(LN_i(Di)), ci = SiLU(DWConv(xi)) with one convolution for
    both, S = LN(ES2D(c1 c2 + c1 + c2)), out = Linear(S SiLU(z) + S SiLU(SiLU(z))).

    The second gate applies SiLU twice to modality 1's z where the paper uses modality 2's. This is
    an error of the released code, kept because the checkpoints were trained with it.
    """

    def __init__(self, width: int, scan: str) -> None:
        super().__init__()
        inner = 2 * width
        self.in_proj1 = nn.Linear(width, 2 * inner, bias=False)
        self.in_proj2 = nn.Linear(width, 2 * inner, bias=False)  # its second half is not used
        self.conv = DWConv(inner)
        self.es2d = ES2D(inner, step_rank(width), scan)
        self.norm = nn.LayerNorm(inner)
        self.linear_out = nn.Linear(inner, width, bias=False)

    def forward(self, d1: Tensor, d2: Tensor) -> Tensor:
        """LN_1(D1) and LN_2(D2), float [B, H, W, C] each, to out, float [B, H, W, C]."""
        x1, z = self.in_proj1(d1).chunk(2, dim=-1)  # [B, H, W, E] each
        used, _ = self.in_proj2.weight.chunk(2)  # [E, C]
        x2 = functional.linear(d2, used)  # [B, H, W, E]
        c1, c2 = functional.silu(self.conv(x1)), functional.silu(self.conv(x2))
        s = self.norm(self.es2d(c1 * c2 + c1 + c2))  # [B, H, W, E]
        gate = functional.silu(z)
        out: Tensor = self.linear_out(s * (gate + functional.silu(gate)))
        return out


class CrossBlock(nn.Module):
    """The released code's DFFM.

    D1 = LDC_1(F1) + F1 + sigmoid(GAP(F1 − F2)) (F1 + F2), and D2 with 1 and 2 exchanged,
    y = CMFM(D1, D2), X = F1 + F2 + y + ECA(y).
    """

    def __init__(self, width: int, scan: str) -> None:
        super().__init__()
        self.texture1 = DescriptiveConv(width)
        self.texture2 = DescriptiveConv(width)
        self.ln_1 = nn.LayerNorm(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mixer = CrossMixer(width, scan)
        self.channel = ECA()

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Features of visible and infrared, float [B, H, W, C] each, to X, float [B, H, W, C]."""
        both = f1 + f2
        difference = (f1 - f2).mean(dim=(1, 2), keepdim=True)  # [B, 1, 1, C]
        d1 = self.texture1(f1) + f1 + torch.sigmoid(difference) * both
        d2 = self.texture2(f2) + f2 + torch.sigmoid(-difference) * both
        y = self.mixer(self.ln_1(d1), self.ln_2(d2))
        x: Tensor = both + y + self.channel(y)
        return x
