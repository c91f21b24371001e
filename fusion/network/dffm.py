"""DFFM, the fusion of both modalities at one level: DFEM enhances differences, CMFM mixes.

From the paper: Eq. 7 (DFEM), Eq. 8 and 9 (CMFM), Eq. 10 (their sum with the inputs).
Not stated by the paper: SiLU after CMFM's depthwise convolutions, as in ESSM; the gates of Eq. 9
are SiLU of a linear layer on LN(Di), as in the released code, so that LN is computed once and both
linear layers are one; Eq. 9 adds H1 + H2 (width E) to a map of width C, so it is taken as ECA(U) +
U with U = Linear(H1 + H2); linear layers without bias.
Ablations of Table 9: "w/o LDC" is Ti = Fi, "w/o DFEM" is Di = Fi, "w/o CMFM" is X = D1 + D2 + F1 +
F2, "w/o ECA" replaces it by the identity.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.network.dvss import step_rank
from fusion.network.es2d import ES2D
from fusion.network.layers import ECA, LDC, DWConv


class DFEM(nn.Module):
    """Dynamic feature enhancement of both modalities, Eq. 7.

    Ti = LDC_i(Fi), D1 = F1 + T1 + sigmoid(GAP(T2 − T1)) (F1 + F2), and D2 with 1 and 2 exchanged.
    """

    def __init__(self, width: int, *, ldc: bool = True) -> None:
        """Make the module.

        Args:
            width: Channels C.
            ldc: Whether Ti = LDC_i(Fi), else Ti = Fi.
        """
        super().__init__()
        self.texture1 = LDC(width) if ldc else nn.Identity()
        self.texture2 = LDC(width) if ldc else nn.Identity()

    def forward(self, f1: Tensor, f2: Tensor) -> tuple[Tensor, Tensor]:
        """F1 and F2, float [B, H, W, C] each, to (D1, D2), float [B, H, W, C] each."""
        t1, t2 = self.texture1(f1), self.texture2(f2)
        both = f1 + f2
        difference = (t2 - t1).mean(dim=(1, 2), keepdim=True)  # [B, 1, 1, C]
        d1 = f1 + t1 + torch.sigmoid(difference) * both
        d2 = f2 + t2 + torch.sigmoid(-difference) * both
        return d1, d2


class CMFM(nn.Module):
    """Cross-modal fusion Mamba module, Eq. 8 and 9.

    Ci = SiLU(DWConv_i(Linear_i(LN_i(Di)))), S = LN(ES2D(C1 C2 + C1 + C2)),
    Hi = S SiLU(Linear'_i(LN_i(Di))), U = Linear(H1 + H2), Hf = ECA(U) + U.
    """

    def __init__(self, width: int, *, eca: bool = True, scan: str) -> None:
        """Make the module.

        Args:
            width: Channels C; the inner width E is 2C.
            eca: Whether ECA is applied to U.
            scan: The backend of the scan, a name or "auto".
        """
        super().__init__()
        inner = 2 * width
        self.enter1 = _InputLayers(width)
        self.enter2 = _InputLayers(width)
        self.es2d = ES2D(inner, step_rank(width), scan)
        self.norm = nn.LayerNorm(inner)
        self.linear_out = nn.Linear(inner, width, bias=False)
        self.channel = ECA() if eca else nn.Identity()

    def forward(self, d1: Tensor, d2: Tensor) -> Tensor:
        """D1 and D2, float [B, H, W, C] each, to Hf, float [B, H, W, C]."""
        c1, gate1 = self.enter1(d1)  # [B, H, W, E] each
        c2, gate2 = self.enter2(d2)
        s = self.norm(self.es2d(c1 * c2 + c1 + c2))  # [B, H, W, E]
        u: Tensor = self.linear_out(s * (gate1 + gate2))  # H1 + H2 = S gate1 + S gate2
        hf: Tensor = self.channel(u) + u
        return hf


class DFFM(nn.Module):
    """Dynamic feature fusion module, Eq. 10: X = CMFM(DFEM(F1, F2)) + F1 + F2."""

    def __init__(
        self,
        width: int,
        *,
        ldc: bool = True,
        eca: bool = True,
        dfem: bool = True,
        cmfm: bool = True,
        scan: str,
    ) -> None:
        """Make the module.

        Args:
            width: Channels C.
            ldc: Whether DFEM has its LDC.
            eca: Whether CMFM has its ECA.
            dfem: Whether there is a DFEM, else Di = Fi.
            cmfm: Whether there is a CMFM, else its output is D1 + D2.
            scan: The backend of the scan, a name or "auto".
        """
        super().__init__()
        self.dfem = DFEM(width, ldc=ldc) if dfem else None
        self.cmfm = CMFM(width, eca=eca, scan=scan) if cmfm else None

    def forward(self, f1: Tensor, f2: Tensor) -> Tensor:
        """Features of infrared and visible, float [B, H, W, C] each, to X, float [B, H, W, C]."""
        d1, d2 = (f1, f2) if self.dfem is None else self.dfem(f1, f2)
        mixed: Tensor = d1 + d2 if self.cmfm is None else self.cmfm(d1, d2)
        return mixed + f1 + f2


class _InputLayers(nn.Module):
    """The input layers of one modality: SiLU(DWConv(Linear(LN(D)))) and SiLU(Linear'(LN(D)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = 2 * width
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, 2 * inner, bias=False)  # Linear and Linear' in one
        self.conv = DWConv(inner)

    def forward(self, d: Tensor) -> tuple[Tensor, Tensor]:
        """D, float [B, H, W, C], to features and gate, float [B, H, W, E] each."""
        x, z = self.linear(self.norm(d)).chunk(2, dim=-1)
        return functional.silu(self.conv(x)), functional.silu(z)
