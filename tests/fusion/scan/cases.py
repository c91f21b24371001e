"""What the backends are compared on: inputs, and the result and gradients of a scan of them."""

import torch

from fusion.scan import es2d_scan, selective_scan


def draw(
    batch=1, groups=1, per_group=2, state=16, tokens=8, optional=("D", "delta_bias"), scale=1.0,
    softplus=True, seed=0,
):  # fmt: skip
    """Arguments of ``selective_scan`` in float64; steps are positive, of the size of ``scale``."""
    generator = torch.Generator().manual_seed(seed)
    channels = groups * per_group

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    values = {
        "u": normal(batch, channels, tokens),
        "delta": normal(batch, channels, tokens) * scale,
        "A": -normal(channels, state).exp() * scale,
        "B": normal(batch, groups, state, tokens),
        "C": normal(batch, groups, state, tokens),
        "D": normal(channels),
        "delta_bias": normal(channels).abs(),
    }
    if not softplus:
        values["delta"] = values["delta"].abs()
    kept = {k: v for k, v in values.items() if k not in ("D", "delta_bias") or k in optional}
    # what float32 can say, so that all backends are given the same numbers
    return {k: v.float().double() for k, v in kept.items()}


def draw_map(batch=1, height=4, width=6, inner=3, rank=2, state=5, seed=0):
    """Arguments of ``es2d_scan`` in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).float().double()

    return {
        "x": normal(batch, height, width, inner),
        "x_weight": normal(4, rank + 2 * state, inner) * 0.5,
        "dt_weight": normal(4, inner, rank),
        "dt_bias": normal(4, inner),
        "A": -normal(4 * inner, state).exp(),
        "D": normal(4 * inner),
    }


def run(values, backend, dtype, device="cpu", **options):
    """The result and, by name, the gradients of a fixed weighted sum of it."""
    scan = es2d_scan if "x" in values else selective_scan
    given = {k: v.to(device, dtype, copy=True).detach().requires_grad_() for k, v in values.items()}
    y = scan(**given, backend=backend, **options)
    weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).sin().view(y.shape)
    (y * weights.to(device, dtype)).sum().backward()
    return {"y": y.detach().cpu()} | {k: v.grad.cpu() for k, v in given.items()}


def disagreements(found, expected, *, result=1e-5, gradient=1e-4):
    """What lies further from the expected than this share of its largest number."""
    return {
        name: error
        for name, exact in expected.items()
        if not (error := (found[name].double() - exact).abs().max())
        <= (result if name == "y" else gradient) * exact.abs().max()
    }
