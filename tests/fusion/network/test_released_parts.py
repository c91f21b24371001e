"""The parts of the released network, by hand."""

import pytest
import torch
from torch.nn import functional

from fusion.network.released_blocks import Block, CrossBlock, CrossMixer, DescriptiveConv, Gate
from tests.fusion.network.released import SCAN, drawn

# --- the parts, by hand


def test_descriptive_kernel_by_hand():
    conv = DescriptiveConv(1).eval()
    with torch.no_grad():
        conv.weight.copy_(torch.arange(1.0, 10).view(1, 1, 3, 3))  # sum 45, middle 5
        conv.learnable_mask.fill_(2.0)
        conv.learnable_theta.fill_(0.1)
        kernel = conv.kernel()[0, 0]
        expected = torch.tensor([[1.0, 2, 3], [4, 5 * (1 - 0.1 * 2 * 45), 6], [7, 8, 9]])
        assert torch.allclose(kernel, expected)
        # a single bright pixel brings the kernel out, turned round, and the fold does the same
        x = torch.zeros(1, 3, 3, 1)
        x[0, 1, 1, 0] = 1
        assert torch.allclose(conv(x)[0, ..., 0], expected.flip(0, 1))


def test_descriptive_mask_is_by_output_then_input():
    conv = DescriptiveConv(2)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.learnable_mask.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        conv.learnable_theta.fill_(1.0)
        middle = conv.kernel()[:, :, 1, 1]
    assert torch.equal(middle, torch.tensor([[-8.0, -17.0], [-26.0, -35.0]]))  # 1 − 9 m


def test_fold_follows_the_weights():
    conv, x = drawn(DescriptiveConv(3)), torch.randn(1, 4, 5, 3)
    with torch.no_grad():
        conv(x)
        conv.learnable_theta.add_(0.3)
        plain = functional.conv2d(x.permute(0, 3, 1, 2), conv.kernel(), padding=1)
        assert torch.equal(conv(x), plain.permute(0, 2, 3, 1))


def test_gate_pools_after_the_norm():
    gate = drawn(Gate(8))
    v = torch.randn(2, 3, 4, 8)
    hidden = functional.gelu(gate.global_reduce(gate.norm(v).flatten(1, 2).mean(1)))  # [2, 1]
    expected = v * torch.sigmoid(gate.channel_select(hidden))[:, None, None]
    with torch.no_grad():
        assert torch.allclose(gate(v), expected, atol=1e-6)


def test_block_by_hand():
    block = drawn(Block(8, SCAN))
    f = torch.randn(2, 4, 6, 8)
    with torch.no_grad():
        s = block.essm(block.norm(f))  # no f is added
        c = block.local(s + block.channel(s))
        g = f + block.gate(s) + block.gate(c)
        first, _, last = block.mlp
        expected = g + last(functional.gelu(first(block.norm2(g))))
        assert torch.equal(block(f), expected)


@pytest.fixture(scope="module")
def mixer():
    return drawn(CrossMixer(8, SCAN))


def test_both_gates_are_of_modality_1(mixer, monkeypatch):
    """The slip of the released code: SiLU(z1) and SiLU(SiLU(z1)), not SiLU(z1) and SiLU(z2)."""
    monkeypatch.setattr(mixer.es2d, "forward", lambda x: x)
    d1, d2 = torch.randn(2, 1, 4, 4, 8)
    with torch.no_grad():
        x1, z1 = mixer.in_proj1(d1).split(16, dim=-1)
        x2, _ = mixer.in_proj2(d2).split(16, dim=-1)
        c1, c2 = (functional.silu(mixer.conv(x)) for x in (x1, x2))
        s = mixer.norm(c1 * c2 + c1 + c2)
        silu = functional.silu
        expected = mixer.linear_out(s * silu(z1) + s * silu(silu(z1)))
        assert torch.allclose(mixer(d1, d2), expected, atol=1e-6)


def test_gate_of_modality_2_is_unused(mixer):
    mixer.zero_grad()
    mixer(*torch.randn(2, 1, 4, 4, 8)).square().sum().backward()
    used, unused = mixer.in_proj2.weight.grad.chunk(2)
    assert used.abs().max() > 0
    assert unused.abs().max() == 0


def test_cross_block_by_hand(monkeypatch):
    block = drawn(CrossBlock(8, SCAN))
    monkeypatch.setattr(block.mixer, "forward", lambda d1, d2: 2 * d1 - 3 * d2)
    f1, f2 = torch.randn(2, 2, 4, 4, 8)
    with torch.no_grad():
        gap = (f1 - f2).mean(dim=(1, 2), keepdim=True)
        d1 = block.texture1(f1) + f1 + gap.sigmoid() * (f1 + f2)
        d2 = block.texture2(f2) + f2 + (-gap).sigmoid() * (f1 + f2)
        y = 2 * block.ln_1(d1) - 3 * block.ln_2(d2)
        assert torch.allclose(block(f1, f2), f1 + f2 + y + block.channel(y), atol=1e-5)
