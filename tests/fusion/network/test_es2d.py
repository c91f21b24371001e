import math

import numpy as np
import pytest
import torch

from fusion.network.es2d import ES2D
from fusion.scan.es2d import gather, scatter


def paths(height, width):
    """The pixels of each direction in the order in which they are read, height and width even."""
    even_rows, odd_rows = range(0, height, 2), range(1, height, 2)
    even_cols, odd_cols = range(0, width, 2), range(1, width, 2)
    return [
        [(r, c) for r in even_rows for c in even_cols],
        [(r, c) for c in even_cols for r in odd_rows],
        [(r, c) for r in even_rows for c in odd_cols],
        [(r, c) for c in odd_cols for r in odd_rows],
    ]


def naive(module, x):
    """ES2D of one image [H, W, E] by definition: one direction, channel and token after another."""
    weights = {k: v.double().numpy() for k, v in module.state_dict().items()}
    height, width, inner = x.shape
    even_height, even_width = height + height % 2, width + width % 2
    padded = np.zeros((even_height, even_width, inner))
    padded[:height, :width] = x
    out = np.zeros_like(padded)
    rank = module.rank
    for k, path in enumerate(paths(even_height, even_width)):
        A = -np.exp(weights["A_log"][k * inner : (k + 1) * inner])  # [E, N]
        skip = weights["D"][k * inner : (k + 1) * inner]  # [E]
        h = np.zeros_like(A)
        for pixel in path:
            token = padded[pixel]
            projected = weights["x_weight"][k] @ token
            b, c = projected[rank : rank + 16], projected[rank + 16 :]
            dt = np.log1p(
                np.exp(weights["dt_weight"][k] @ projected[:rank] + weights["dt_bias"][k])
            )
            h = np.exp(dt[:, None] * A) * h + (dt * token)[:, None] * b
            out[pixel] = h @ c + skip * token
    return out[:height, :width]


def test_gather_by_hand():
    x = torch.arange(16).view(1, 4, 4, 1)
    assert gather(x)[0, :, 0].tolist() == [
        [0, 2, 8, 10],
        [4, 12, 6, 14],
        [1, 3, 9, 11],
        [5, 13, 7, 15],
    ]


@pytest.mark.parametrize(("height", "width"), [(2, 2), (4, 6), (8, 2)])
def test_gather_and_scatter(height, width):
    x = torch.rand(2, height, width, 3)
    tokens = gather(x)
    for k, path in enumerate(paths(height, width)):
        for place, (row, column) in enumerate(path):
            assert torch.equal(tokens[:, k, :, place], x[:, row, column])
    assert torch.equal(scatter(tokens, height, width), x)


def test_gather_and_scatter_are_differentiable():
    x = torch.rand(2, 4, 6, 3, dtype=torch.float64, requires_grad=True)
    tokens = torch.rand(2, 4, 3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gather, (x,))
    assert torch.autograd.gradcheck(lambda t: scatter(t, 4, 6), (tokens,))


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 7), (1, 2)])
def test_float32_gradients(height, width, backend):
    torch.manual_seed(0)
    inputs = torch.randn(2, height, width, 6, dtype=torch.float64)
    weights = torch.randn(2, height, width, 6, dtype=torch.float64)
    exact = ES2D(inner=6, rank=2, backend="reference").double()
    single = ES2D(inner=6, rank=2, backend=backend)
    single.load_state_dict(exact.state_dict())
    gradients = []
    for module, dtype in ((exact, torch.float64), (single, torch.float32)):
        x = inputs.detach().to(dtype).requires_grad_()
        (module(x) * weights.to(dtype)).sum().backward()
        gradients.append([x.grad, *(p.grad for p in module.parameters())])
    for expected, found in zip(*gradients, strict=True):
        assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 7), (6, 3), (3, 4), (1, 1), (1, 5)])
def test_independent_construction(height, width):
    torch.manual_seed(height * 10 + width)
    module = ES2D(inner=6, rank=2, backend="auto").double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, height, width, 6, dtype=torch.float64)
    with torch.no_grad():
        y = module(x)
    for image in range(2):
        assert np.abs(y[image].numpy() - naive(module, x[image].numpy())).max() <= 1e-12


def test_init():
    torch.manual_seed(0)
    module = ES2D(inner=32, rank=3, backend="auto")
    assert torch.allclose(module.A_log[5], torch.arange(1.0, 17).log())
    assert (module.D == 1).all()
    assert module.dt_weight.abs().max() <= 3**-0.5
    step = torch.nn.functional.softplus(module.dt_bias)
    assert 1e-3 * 0.999 <= step.min() <= step.max() <= 1e-1 * 1.001
    # log-uniform: half of the draws lie under the geometric mean
    assert (step < math.sqrt(1e-3 * 1e-1)).float().mean().item() == pytest.approx(0.5, abs=0.15)


def test_bfloat16():
    torch.manual_seed(0)
    module = ES2D(inner=8, rank=1, backend="auto")
    x = torch.randn(1, 6, 6, 8)
    with torch.no_grad():
        full = module(x)
        half = module.to(torch.bfloat16)(x.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).norm() <= 0.01 * full.norm()
