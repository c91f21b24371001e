"""The selective scan by its definition: one token after another, in plain torch.

All other backends are tested against it. It is slow, but runs wherever torch runs and is
differentiated by autograd.
"""

import torch
from torch import Tensor


def problem() -> str | None:
    """None: it runs wherever torch runs."""
    return None


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
    """See ``fusion.scan.selective_scan`` for the equation, shapes and dtypes."""
    batch, channels, _ = u.shape
    groups = B.shape[1]
    dtype = torch.float64 if u.dtype == torch.float64 else torch.float32

    x = u.to(dtype)  # [b, d, l]
    step = delta.to(dtype)  # [b, d, l]
    if delta_bias is not None:
        step = step + delta_bias.to(dtype)[:, None]
    if delta_softplus:
        step = torch.nn.functional.softplus(step)

    # tokens first, so that each token is contiguous; m = d / g channels per group
    steps = _tokens_first(step, groups)  # [l, b, g, m, 1]
    inputs = _tokens_first(step * x, groups)  # [l, b, g, m, 1]
    into = B.to(dtype).permute(3, 0, 1, 2).unsqueeze(3).contiguous()  # [l, b, g, 1, n]
    out_of = C.to(dtype).permute(3, 0, 1, 2).unsqueeze(3).contiguous()  # [l, b, g, 1, n]
    decay = torch.unflatten(A.to(dtype), 0, (groups, -1))  # [g, m, n]

    state = x.new_zeros(batch, *decay.shape)  # [b, g, m, n]
    outputs = []
    for dt, dt_x, b, c in zip(steps, inputs, into, out_of, strict=True):
        state = torch.exp(dt * decay) * state + dt_x * b  # [b, g, m, n]
        outputs.append((state * c).sum(-1))  # [b, g, m]

    y = torch.stack(outputs, dim=-1).view(batch, channels, -1)  # [b, d, l]
    if D is not None:
        y = y + D.to(dtype)[:, None] * x
    return y.to(u.dtype)


def _tokens_first(values: Tensor, groups: int) -> Tensor:
    """[b, d, l] as [l, b, g, d / g, 1]."""
    tokens = torch.unflatten(values.permute(2, 0, 1), 2, (groups, -1))  # [l, b, g, d / g]
    return tokens.unsqueeze(-1).contiguous()
