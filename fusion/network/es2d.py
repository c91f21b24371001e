"""ES2D, the efficient 2D scan: four interleaved sub-grids, each scanned in its own direction.

From the paper: the skipping scan of EfficientVMamba (Pei, Huang and Xu, 2024), Fig. 2d.
Not stated by the paper: an odd side is padded with zeros at the bottom or right, and the padded
tokens are scanned, then cropped; directions as in the table of ``fusion.scan.es2d.gather``; every
direction has its own weights; B is discretized as in Mamba (delta B), not exactly as in Eq. 2.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.scan import es2d_scan
from fusion.scan.es2d import DIRECTIONS

STATE = 16  # N of the papers


class ES2D(nn.Module):
    """Selective scan of a feature map over four sub-grids of a quarter of the pixels each.

    ``es2d_scan`` with ``A = −exp(A_log)``; a state of N = 16 for each channel and direction.
    ``A_log`` and ``D`` are direction-major: row k E + e is channel e of direction k.
    """

    def __init__(self, inner: int, rank: int, backend: str) -> None:
        """Draw random weights as Mamba does.

        Args:
            inner: Channels E of the map.
            rank: Rank R of the step size.
            backend: The backend of the scan, a name or "auto".
        """
        super().__init__()
        self.rank = rank
        self.backend = backend
        self.x_weight = nn.Parameter(torch.empty(DIRECTIONS, rank + 2 * STATE, inner))
        self.dt_weight = nn.Parameter(torch.empty(DIRECTIONS, inner, rank))
        self.dt_bias = nn.Parameter(torch.empty(DIRECTIONS, inner))
        self.A_log = nn.Parameter(torch.empty(DIRECTIONS * inner, STATE))
        self.D = nn.Parameter(torch.ones(DIRECTIONS * inner))
        self._draw()

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, H, W, E], any H and W, to float [B, H, W, E]."""
        height, width = x.shape[1:3]
        if height % 2 or width % 2:
            x = functional.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        at_least_float32 = torch.promote_types(self.A_log.dtype, torch.float32)
        y = es2d_scan(
            x,
            self.x_weight,
            self.dt_weight,
            self.dt_bias,
            -torch.exp(self.A_log.to(at_least_float32)),  # [4E, N]
            self.D,
            self.backend,
        )
        return y[:, :height, :width]

    def _draw(self) -> None:
        inner = self.dt_bias.shape[1]
        nn.init.uniform_(self.x_weight, -(inner**-0.5), inner**-0.5)
        nn.init.uniform_(self.dt_weight, -(self.rank**-0.5), self.rank**-0.5)
        with torch.no_grad():
            log_step = torch.empty_like(self.dt_bias).uniform_(math.log(1e-3), math.log(1e-1))
            step = log_step.exp()
            self.dt_bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse softplus
            self.A_log.copy_(torch.arange(1.0, STATE + 1).log().expand_as(self.A_log))
