import math

import numpy as np
import pytest
import torch

from fusion.scan.reference import selective_scan


def draw(batch=2, groups=2, per_group=3, state=4, tokens=7, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    channels = groups * per_group

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "u": normal(batch, channels, tokens),
        "delta": normal(batch, channels, tokens),
        "A": -normal(channels, state).exp(),
        "B": normal(batch, groups, state, tokens),
        "C": normal(batch, groups, state, tokens),
        "D": normal(channels),
        "delta_bias": normal(channels),
    }


def by_definition(u, delta, A, B, C, D=None, delta_bias=None, delta_softplus=False):
    """The definition, one number after another."""
    batch, channels, tokens = u.shape
    per_group = channels // B.shape[1]
    y = np.zeros_like(u)
    for b in range(batch):
        for d in range(channels):
            g = d // per_group
            h = np.zeros(A.shape[1])
            for t in range(tokens):
                dt = delta[b, d, t] + (0 if delta_bias is None else delta_bias[d])
                if delta_softplus:
                    dt = math.log1p(math.exp(dt))
                for n in range(A.shape[1]):
                    h[n] = math.exp(dt * A[d, n]) * h[n] + dt * B[b, g, n, t] * u[b, d, t]
                y[b, d, t] = (C[b, g, :, t] * h).sum() + (0 if D is None else D[d] * u[b, d, t])
    return y


def test_two_steps_by_hand():
    ones = torch.ones(1, 1, 1, 2, dtype=torch.float64)
    y = selective_scan(
        u=torch.tensor([[[2.0, 3.0]]], dtype=torch.float64),
        delta=torch.tensor([[[0.5, 1.0]]], dtype=torch.float64),
        A=torch.tensor([[-math.log(2)]], dtype=torch.float64),
        B=3 * ones,
        C=torch.tensor([1.0, 10.0], dtype=torch.float64).view(1, 1, 1, 2),
        D=torch.tensor([100.0], dtype=torch.float64),
    )
    # h1 = 0.5 * 3 * 2 = 3; h2 = 2^-1 * 3 + 1 * 3 * 3 = 10.5
    assert y.flatten().tolist() == pytest.approx([3 + 200, 105 + 300], abs=1e-12)


@pytest.mark.parametrize("softplus", [False, True])
@pytest.mark.parametrize("optional", [(), ("D",), ("delta_bias",), ("D", "delta_bias")])
@pytest.mark.parametrize("groups", [1, 4])
def test_definition(softplus, optional, groups):
    values = draw(groups=groups)
    given = {k: v for k, v in values.items() if k not in ("D", "delta_bias") or k in optional}
    if not softplus:
        given["delta"] = given["delta"].abs()
    y = selective_scan(**given, delta_softplus=softplus)
    expected = by_definition(**{k: v.numpy() for k, v in given.items()}, delta_softplus=softplus)
    assert y.dtype == torch.float64
    assert np.abs(y.numpy() - expected).max() <= 1e-10 * np.abs(expected).max()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-8)])
def test_accumulates_in_float32(dtype, tolerance):
    values = {k: v.to(dtype) for k, v in draw(tokens=300).items()}
    y = selective_scan(**values, delta_softplus=True)
    expected = by_definition(
        **{k: v.double().numpy() for k, v in values.items()}, delta_softplus=True
    )
    assert y.dtype == dtype
    # relative to the largest: one rounding of the result is all that bfloat16 may add
    assert np.abs(y.double().numpy() - expected).max() <= tolerance * np.abs(expected).max()


def test_gradient():
    values = {
        k: v.requires_grad_() for k, v in draw(batch=1, per_group=2, state=2, tokens=3).items()
    }
    assert torch.autograd.gradcheck(
        lambda *given: selective_scan(*given, delta_softplus=True), tuple(values.values())
    )


def test_one_token():
    values = draw(tokens=1)
    y = selective_scan(**values, delta_softplus=True)
    expected = by_definition(**{k: v.numpy() for k, v in values.items()}, delta_softplus=True)
    assert np.allclose(y.numpy(), expected, atol=1e-12)
