import pytest
import torch
from torch.nn import functional

from fusion.network.dffm import CMFM, DFEM, DFFM
from tests.fusion.network.random_inputs import drawn


def pair():
    torch.manual_seed(1)
    return torch.randn(2, 4, 6, 8), torch.randn(2, 4, 6, 8)


def test_dfem_by_hand():
    dfem = DFEM(1, ldc=False)
    f1, f2 = (
        torch.tensor([[1.0, 3.0]]).view(1, 1, 2, 1),
        torch.tensor([[4.0, 6.0]]).view(1, 1, 2, 1),
    )
    d1, d2 = dfem(f1, f2)
    up, down = torch.tensor(3.0).sigmoid().item(), torch.tensor(-3.0).sigmoid().item()
    assert d1.flatten().tolist() == pytest.approx([2 + up * 5, 6 + up * 9], abs=1e-6)
    assert d2.flatten().tolist() == pytest.approx([8 + down * 5, 12 + down * 9], abs=1e-6)


def test_dfem_is_equation_7():
    dfem = drawn(DFEM(8))
    f1, f2 = pair()
    t1, t2 = dfem.texture1(f1), dfem.texture2(f2)
    d1, d2 = dfem(f1, f2)
    w1 = (t2 - t1).flatten(1, 2).mean(1).sigmoid()[:, None, None]
    w2 = (t1 - t2).flatten(1, 2).mean(1).sigmoid()[:, None, None]
    assert torch.allclose(d1, f1 + t1 + w1 * (f1 + f2), atol=1e-5)
    assert torch.allclose(d2, f2 + t2 + w2 * (f1 + f2), atol=1e-5)


@pytest.mark.parametrize("eca", [True, False])
def test_cmfm_is_equations_8_and_9(eca):
    cmfm = drawn(CMFM(8, eca=eca, scan="auto"))
    d1, d2 = pair()
    c, gates = [], []
    for entrance, d in ((cmfm.enter1, d1), (cmfm.enter2, d2)):
        normed = functional.layer_norm(d, (8,), entrance.norm.weight, entrance.norm.bias, 1e-5)
        linear, linear_gate = entrance.linear.weight.split(16)
        c.append(functional.silu(entrance.conv(normed @ linear.T)))
        gates.append(functional.silu(normed @ linear_gate.T))
    hybrid = c[0] * c[1] + c[0] + c[1]
    s = functional.layer_norm(cmfm.es2d(hybrid), (16,), cmfm.norm.weight, cmfm.norm.bias, 1e-5)
    u = (s * gates[0] + s * gates[1]) @ cmfm.linear_out.weight.T
    expected = u + (cmfm.channel(u) if eca else u)
    # sums of 16 products in another order, of values up to some tens
    assert torch.allclose(cmfm(d1, d2), expected, atol=1e-5 * expected.abs().max().item())


def test_scan_runs_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "fusion.network.es2d.es2d_scan",
        lambda x, *rest: calls.append(x.shape) or torch.zeros_like(x),
    )
    DFFM(8, scan="auto")(*pair())
    assert calls == [(2, 4, 6, 16)]  # one call, at width E = 16


def test_dffm_is_equation_10():
    dffm = drawn(DFFM(8, scan="auto"))
    f1, f2 = pair()
    assert torch.allclose(dffm(f1, f2), dffm.cmfm(*dffm.dfem(f1, f2)) + f1 + f2)


def test_without_dfem():
    dffm = drawn(DFFM(8, dfem=False, scan="auto"))
    f1, f2 = pair()
    assert torch.allclose(dffm(f1, f2), dffm.cmfm(f1, f2) + f1 + f2)
    assert dffm.dfem is None


def test_without_cmfm():
    dffm = drawn(DFFM(8, cmfm=False, scan="auto"))
    f1, f2 = pair()
    d1, d2 = dffm.dfem(f1, f2)
    assert torch.allclose(dffm(f1, f2), d1 + d2 + f1 + f2)
    assert dffm.cmfm is None
