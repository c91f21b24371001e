import pytest
import torch
from torch import nn
from torch.nn import functional

from fusion.network.dvss import DVSS, ESSM, SelfAttention, step_rank
from fusion.network.es2d import ES2D
from tests.fusion.network.random_inputs import drawn


@pytest.mark.parametrize(("width", "rank"), [(8, 1), (16, 1), (17, 2), (96, 6), (768, 48)])
def test_step_rank(width, rank):
    assert step_rank(width) == rank


def test_essm_is_figure_2c():
    essm = drawn(ESSM(4, nn.Identity()))
    f = torch.randn(2, 5, 6, 4)
    x, z = (f @ essm.linear_in.weight.T).split(8, dim=-1)
    conv = essm.conv.conv
    x = functional.conv2d(x.permute(0, 3, 1, 2), conv.weight, conv.bias, padding=1, groups=8)
    x = x.permute(0, 2, 3, 1)
    x = x * x.sigmoid()
    x = functional.layer_norm(x, (8,), essm.norm.weight, essm.norm.bias, eps=1e-5)
    expected = (x * z * z.sigmoid()) @ essm.linear_out.weight.T
    assert torch.allclose(essm(f), expected, atol=1e-5)


@pytest.mark.parametrize("eca", [True, False])
@pytest.mark.parametrize("ldc", [True, False])
def test_block_is_equation_6(ldc, eca):
    block = drawn(DVSS(8, ldc=ldc, eca=eca, scan="auto"))
    f = torch.randn(2, 4, 6, 8)
    z = block.essm(block.norm_in(f)) + f
    norm, attention = block.channel
    normed = functional.layer_norm(z, (8,), norm.weight, norm.bias, eps=1e-5)
    expected = z + (attention(normed) if eca else normed)
    if ldc:
        expected = expected + block.local(f)  # the raw input, not LN of it
    assert torch.allclose(block(f), expected, atol=1e-5)


def test_evss_is_the_state_space_part_alone():
    block = drawn(DVSS(8, block="evss", scan="auto"))
    f = torch.randn(1, 4, 4, 8)
    assert torch.equal(block(f), block.essm(block.norm_in(f)) + f)
    assert {name.split(".")[0] for name, _ in block.named_parameters()} == {"norm_in", "essm"}


@pytest.mark.parametrize(("width", "heads"), [(8, 1), (32, 1), (48, 1), (64, 2), (96, 3)])
def test_attention_heads(width, heads):
    block = DVSS(width, block="attention", scan="auto")
    assert block.essm.mixer.heads == heads
    assert not any(isinstance(module, ES2D) for module in block.modules())
    assert block(torch.randn(1, 2, 3, width)).shape == (1, 2, 3, width)


def test_attention_by_definition():
    attention = drawn(SelfAttention(6, heads=2))
    x = torch.randn(1, 2, 2, 6)
    q, k, v = (x.view(4, 6) @ attention.linear.weight.T).split(6, dim=-1)
    parts = []
    for head in (slice(0, 3), slice(3, 6)):
        weights = torch.softmax(q[:, head] @ k[:, head].T / 3**0.5, dim=-1)
        parts.append(weights @ v[:, head])
    assert torch.allclose(attention(x).view(4, 6), torch.cat(parts, dim=-1), atol=1e-5)
