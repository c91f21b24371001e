"""The gated scan's kernels for inference against the differentiable way through the reference."""

import pytest
import torch

from fusion.scan.gated import TAPS, GatedWeights, gated_scan, in_pieces


def draw(groups=1, inner=6, rank=1, state=16, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    return GatedWeights(
        normal(groups, inner, TAPS) / 2,
        normal(groups, inner),
        normal(groups, rank + 2 * state, inner) / inner**0.5,
        normal(groups, inner, rank),
        normal(groups, inner),
        -normal(groups, inner, state).exp(),
        normal(groups, inner),
    )


def tokens(weights, length, batch=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    groups, inner = weights.D.shape
    return torch.randn(groups, batch, length, 2 * inner, generator=generator)


def of_reference(weights, xz):
    return gated_scan(weights, xz, "reference")(xz)


# one block of channels, a part of one, several of them, the last a part
@pytest.mark.parametrize(("inner", "rank"), [(64, 2), (6, 1), (120, 4)])
# fewer tokens than the convolution sees, than a chunk, more
@pytest.mark.parametrize("length", [1, 2, 31, 100])
@pytest.mark.parametrize(("groups", "batch"), [(1, 1), (3, 2)])
def test_is_the_reference(inner, rank, length, groups, batch):
    weights = draw(groups, inner, rank)
    xz = tokens(weights, length, batch)
    expected = of_reference(weights, xz)
    found = gated_scan(weights, xz, "numba")(xz)
    assert found.shape == (groups, batch, length, inner)
    assert (found - expected).norm() <= 2e-6 * expected.norm()


@pytest.mark.parametrize("lengths", [(1, 1, 1, 1, 1), (2, 1, 40), (33, 2, 64, 7)])
def test_pieces_are_the_whole(lengths):
    weights = draw(2, 70, 3)
    xz = tokens(weights, sum(lengths))
    scan = gated_scan(weights, xz, "numba")
    found = torch.cat([scan(piece) for piece in xz.split(lengths, 2)], 2)
    whole = gated_scan(weights, xz, "numba")(xz)
    assert (found - whole).abs().max() <= 1e-6 * whole.abs().max()


def test_groups_are_independent():
    weights = draw(3, 10, 2)
    xz = tokens(weights, 20)
    found = gated_scan(weights, xz, "reference")(xz)
    for g in range(3):
        alone = GatedWeights(*(tensor[g : g + 1] for tensor in weights))
        assert torch.allclose(of_reference(alone, xz[g : g + 1])[0], found[g], atol=1e-6)


def test_by_hand():
    """One channel, two tokens, a state of 1; the convolution adds the token before."""
    weights = GatedWeights(
        torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]),
        torch.tensor([[0.5]]),
        torch.tensor([[[1.0], [2.0], [3.0]]]),  # the step's number, B, C
        torch.tensor([[[1.0]]]),
        torch.tensor([[-1.0]]),
        torch.tensor([[[-2.0]]]),
        torch.tensor([[4.0]]),
    )
    silu, plus = torch.nn.functional.silu, torch.nn.functional.softplus
    x, z = torch.tensor([1.0, -0.5]), torch.tensor([0.3, -2.0])
    c = silu(torch.tensor([1.0 + 0.5, -0.5 + 1.0 + 0.5]))
    step = plus(c - 1)
    h0 = step[0] * 2 * c[0] * c[0]
    h1 = (-2 * step[1]).exp() * h0 + step[1] * 2 * c[1] * c[1]
    expected = (torch.stack((h0, h1)) * 3 * c + 4 * c) * silu(z)
    xz = torch.stack((x, z), 1)[None, None]
    for backend in ("numba", "reference"):
        found = gated_scan(weights, xz, backend)(xz)
        assert torch.allclose(found[0, 0, :, 0], expected, rtol=1e-5)


def test_bfloat16_has_a_float32_state():
    weights = draw(2, 70, 3)
    xz = tokens(weights, 500).bfloat16()
    found = gated_scan(weights, xz, "numba")(xz)
    expected = of_reference(weights, xz.float())
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() <= 2**-6 * expected.norm()


def test_gradients_take_the_other_way():
    weights = draw(2, 6)
    xz = tokens(weights, 9).requires_grad_()
    assert not in_pieces(weights, xz, "numba")
    gated_scan(weights, xz, "numba")(xz).sum().backward()
    found = xz.grad.clone()
    xz.grad = None
    of_reference(weights, xz).sum().backward()
    assert torch.allclose(found, xz.grad, atol=1e-5)
    with torch.no_grad():
        assert in_pieces(weights, xz, "numba")
        assert not in_pieces(weights, xz.double())
        assert not in_pieces(weights, xz, "reference")


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_make_no_difference(threads):
    weights, before = draw(2, 120, 4), torch.get_num_threads()
    xz = tokens(weights, 300)
    expected = gated_scan(weights, xz, "numba")(xz)
    torch.set_num_threads(threads)
    try:
        found = gated_scan(weights, xz, "numba")(xz)
    finally:
        torch.set_num_threads(before)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()
