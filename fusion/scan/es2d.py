"""ES2D's scan of a feature map: gather four sub-grids, project, scan each, scatter."""

from typing import Any

import torch
from torch import Tensor

from fusion.scan.backends import choose

DIRECTIONS = 4
_MAPPED = (torch.float32, torch.bfloat16)  # dtypes that ``scan_map`` supports


def es2d_scan(
    x: Tensor,
    x_weight: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    backend: str = "auto",
) -> Tensor:
    """Scan the four sub-grids of a feature map, each with its own weights.

    ``[dt_low, B, C] = x_weight[k] x``, ``delta = softplus(dt_weight[k] dt_low + dt_bias[k])``, then
    the selective scan of every channel, over the tokens of direction k in the order of ``gather``.

    Args:
        x: float [B, H, W, E], H and W even.
        x_weight: float [4, R + 2N, E].
        dt_weight: float [4, E, R].
        dt_bias: float [4, E].
        A: float [4E, N], negative, direction-major: row k E + e is channel e of direction k.
        D: float [4E], direction-major.
        backend: A name of ``BACKENDS``, or "auto".

    Returns:
        float [B, H, W, E], of the dtype of ``x``. Differentiable.

    Raises:
        errors.DeviceError: The backend is unknown or cannot run on this machine.
    """
    scan = choose(backend, x)
    weights = (x_weight, dt_weight, dt_bias, A, D)
    graph = torch.is_grad_enabled() and any(t.requires_grad for t in (x, *weights))
    if scan.map is not None and not graph and x.device.type == "cpu" and x.dtype in _MAPPED:
        return scan.map(x, *weights)
    height, width = x.shape[1:3]
    rank, state = dt_weight.shape[2], A.shape[1]
    tokens = gather(x)  # [B, 4, E, L]
    projected = x_weight @ tokens  # [B, 4, R + 2N, L]
    dt_low, b, c = torch.split(projected, [rank, state, state], dim=2)
    delta = dt_weight @ dt_low  # [B, 4, E, L]
    arguments = (
        tokens.flatten(1, 2),  # [B, 4E, L]
        delta.flatten(1, 2),  # [B, 4E, L]
        A,
        b,  # [B, 4, N, L]
        c,  # [B, 4, N, L]
        D,
        dt_bias.flatten(),  # [4E]
    )
    if scan.to_map is not None:
        return scan.to_map(*arguments, (height, width))
    y = scan.scan(*arguments, True)  # [B, 4E, L]
    return scatter(torch.unflatten(y, 1, (DIRECTIONS, -1)), height, width)


def gather(x: Tensor) -> Tensor:
    """The four sub-grids of a feature map as four sequences of tokens.

    ======  =======  ==========  =================
    k       rows     columns     read
    ======  =======  ==========  =================
    0       even     even        row by row
    1       odd      even        column by column
    2       even     odd         row by row
    3       odd      odd         column by column
    ======  =======  ==========  =================

    Args:
        x: [B, H, W, E], H and W even.

    Returns:
        [B, 4, E, H W / 4].
    """
    tokens: Tensor = _Gather.apply(x)
    return tokens


def scatter(tokens: Tensor, height: int, width: int) -> Tensor:
    """Write tokens back to their pixels: the inverse of ``gather``.

    Args:
        tokens: [B, 4, E, height width / 4].
        height: Rows of the map, even.
        width: Columns of the map, even.

    Returns:
        [B, height, width, E].
    """
    x: Tensor = _Scatter.apply(tokens, height, width)
    return x


def _sub_grids(x: Tensor) -> list[Tensor]:
    """Views of a map [B, H, W, E] by direction, the scanned line first.

    [B, H/2, W/2, E] where k is even, transposed to [B, W/2, H/2, E] where it is odd.
    """
    views = [x[:, k % 2 :: 2, k // 2 :: 2] for k in range(DIRECTIONS)]  # [B, H/2, W/2, E]
    return [view.transpose(1, 2) if k % 2 else view for k, view in enumerate(views)]


# Strides and transposition are two copies, which torch does faster than both in one.


class _Gather(torch.autograd.Function):
    """``gather`` into one buffer; autograd's own operations would need another copy."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        batch, ctx.height, ctx.width, inner = x.shape
        tokens = x.new_empty(batch, DIRECTIONS, inner, ctx.height * ctx.width // 4)
        for k, grid in enumerate(_sub_grids(x)):
            tokens[:, k].copy_(grid.flatten(1, 2).transpose(1, 2))  # [B, E, L]
        return tokens

    @staticmethod
    def backward(ctx: Any, dtokens: Tensor) -> Tensor:  # noqa: ANN401
        return scatter(dtokens, ctx.height, ctx.width)


class _Scatter(torch.autograd.Function):
    """``scatter``; as both are permutations, each is the gradient of the other."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, height: int, width: int) -> Tensor:  # noqa: ANN401
        x = tokens.new_empty(tokens.shape[0], height, width, tokens.shape[2])
        for k, grid in enumerate(_sub_grids(x)):
            grid.copy_(tokens[:, k].transpose(1, 2).contiguous().view(grid.shape))
        return x

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return gather(dx), None, None
