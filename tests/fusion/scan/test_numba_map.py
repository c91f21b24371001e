"""The inference kernel of whole maps against the reference, which goes another way."""

import pytest
import torch

from fusion.network.es2d import ES2D
from fusion.scan import es2d


def drawn(inner, rank, backend):
    torch.manual_seed(0)
    module = ES2D(inner, rank, backend)
    torch.nn.init.normal_(module.D)
    torch.nn.init.normal_(module.dt_bias)
    return module.eval()


def both(inner, rank, x):
    with torch.inference_mode():
        return (drawn(inner, rank, name)(x) for name in ("numba", "reference"))


# one block of channels, a part of one, several of them, the last a part
@pytest.mark.parametrize(("inner", "rank"), [(64, 2), (6, 1), (144, 5)])
# fewer tokens than a chunk, more, an odd side
@pytest.mark.parametrize(("height", "width"), [(2, 2), (18, 26), (5, 31)])
def test_is_the_reference(inner, rank, height, width):
    torch.manual_seed(1)
    found, expected = both(inner, rank, torch.randn(2, height, width, inner))
    assert found.shape == expected.shape
    assert (found - expected).norm() <= 1e-6 * expected.norm()


def test_bfloat16_has_a_float32_state():
    torch.manual_seed(1)
    x = torch.randn(1, 40, 40, 32)
    with torch.inference_mode():
        found = drawn(32, 2, "numba")(x.bfloat16())
        expected = drawn(32, 2, "reference")(x.bfloat16().float())
    assert found.dtype == torch.bfloat16
    assert (found - expected).norm() <= 2**-8 * expected.norm()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_make_no_difference(threads):
    torch.manual_seed(1)
    x = torch.randn(1, 32, 32, 144)
    module, before = drawn(144, 5, "numba"), torch.get_num_threads()
    with torch.inference_mode():
        tokens = module(x)
        torch.set_num_threads(threads)
        try:
            # the projection before the scan is torch's, and its last bits may depend on threads
            assert (module(x) - tokens).abs().max() <= 1e-5 * tokens.abs().max()
            assert torch.equal(module(x), module(x))
        finally:
            torch.set_num_threads(before)


def test_gradients_take_the_other_way(monkeypatch):
    called = []
    chosen = es2d.choose("numba", torch.ones(1))
    monkeypatch.setattr(
        "fusion.scan.numba_map.scan_grid", lambda *arguments: called.append(arguments)
    )
    assert chosen.map is not None
    x = torch.randn(1, 4, 4, 8, requires_grad=True)
    drawn(8, 1, "numba")(x).sum().backward()
    assert x.grad.abs().max() > 0
    assert not called
    with torch.no_grad():
        drawn(8, 1, "numba")(x)
    assert called


def test_maps_that_are_views():
    wide = torch.randn(1, 6, 8, 32)
    with torch.inference_mode():
        module = drawn(16, 1, "numba")
        assert torch.equal(module(wide[..., :16]), module(wide[..., :16].contiguous()))
