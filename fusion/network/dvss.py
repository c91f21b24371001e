"""DVSS, the block of encoder and decoder, and its state space module ESSM.

From the paper: ESSM (Fig. 2c), DVSS (Eq. 6); the ablations of Table 9 by name.
Not stated by the paper: no biases in ESSM's linear layers; LDC is applied to the block's input
without LN.
Ablations of Table 9: "w/o LDC" drops LDC(F); "w/o ECA" replaces it by the identity but keeps LN(Z);
"EVSS" is F' = Z; "Transformer" replaces ES2D by self-attention over all tokens, in these blocks but
not in the fusion modules, with C/32 heads (one head if C is no multiple of 32) and no output layer
besides ESSM's.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.network.es2d import ES2D
from fusion.network.layers import ECA, LDC, DWConv

Block = Literal["dvss", "evss", "attention"]


class ESSM(nn.Module):
    """Efficient state space module: x, z = Linear(f); Linear(LN(mix(SiLU(DWConv(x)))) SiLU(z))."""

    def __init__(self, width: int, mixer: nn.Module) -> None:
        """Make the module.

        Args:
            width: Channels C; the inner width E is 2C.
            mixer: The token mixer, [B, H, W, E] to the same shape.
        """
        super().__init__()
        inner = 2 * width
        self.linear_in = nn.Linear(width, 2 * inner, bias=False)
        self.conv = DWConv(inner)
        self.mixer = mixer
        self.norm = nn.LayerNorm(inner)
        self.linear_out = nn.Linear(inner, width, bias=False)

    def forward(self, f: Tensor) -> Tensor:
        """Float [B, H, W, C] to float [B, H, W, C]."""
        x, z = self.linear_in(f).chunk(2, dim=-1)  # [B, H, W, E] each
        x = functional.silu(self.conv(x))
        y: Tensor = self.linear_out(self.norm(self.mixer(x)) * functional.silu(z))
        return y


class SelfAttention(nn.Module):
    """Self-attention over all pixels of the map, without position encoding or output layer."""

    def __init__(self, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.linear = nn.Linear(inner, 3 * inner, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, H, W, E] to float [B, H, W, E]."""
        qkv: Tensor = self.linear(x.flatten(1, 2))  # [B, L, 3E]
        q, k, v = torch.unflatten(qkv, -1, (3, self.heads, -1)).permute(
            2, 0, 3, 1, 4
        )  # [B, heads, L, E/heads]
        mixed = (
            functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        )  # [B, L, E]
        return mixed.view_as(x)


class DVSS(nn.Module):
    """Dynamic vision state space block, Eq. 6.

    Z = ESSM(LN(F)) + F, F' = ECA(LN(Z)) + LDC(F) + Z.
    """

    def __init__(
        self, width: int, *, block: Block = "dvss", ldc: bool = True, eca: bool = True, scan: str
    ) -> None:
        """Make the block.

        Args:
            width: Channels C.
            block: "dvss", or of Table 9 "evss" (F' = Z) or "attention" (in place of ES2D).
            ldc: Whether LDC(F) is added.
            eca: Whether ECA is applied to LN(Z).
            scan: The backend of the scan, a name or "auto".
        """
        super().__init__()
        mixer: nn.Module
        if block == "attention":
            mixer = SelfAttention(2 * width, heads=width // 32 if width % 32 == 0 else 1)
        else:
            mixer = ES2D(2 * width, step_rank(width), scan)
        self.norm_in = nn.LayerNorm(width)
        self.essm = ESSM(width, mixer)
        self.local = LDC(width) if ldc and block != "evss" else None
        self.channel: nn.Module | None = None
        if block != "evss":
            self.channel = nn.Sequential(nn.LayerNorm(width), ECA() if eca else nn.Identity())

    def forward(self, f: Tensor) -> Tensor:
        """Float [B, H, W, C] to float [B, H, W, C]."""
        z: Tensor = self.essm(self.norm_in(f)) + f
        out = z
        if self.channel is not None:
            out = out + self.channel(z)
        if self.local is not None:
            out = out + self.local(f)
        return out


def step_rank(width: int) -> int:
    """Rank R of the step size at C channels, ceil(C / 16)."""
    return math.ceil(width / 16)
