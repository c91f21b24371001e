import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from fusion.network.layers import ECA, LDC, DWConv, PatchEmbedding, PatchExpanding, PatchMerging


def drawn_ldc(channels=5):
    torch.manual_seed(0)
    ldc = LDC(channels)
    nn.init.normal_(ldc.mask)
    nn.init.constant_(ldc.eps, 0.3)
    return ldc


def equation_5(ldc, x):
    """The two convolutions of Eq. 5's last line, for x [B, H, W, C]."""
    x = x.permute(0, 3, 1, 2)
    eps = ldc.eps
    plain = functional.conv2d(x, ldc.weight, padding=1)
    described = functional.conv2d(x, ldc.weight * ldc.mask, padding=1)
    return ((1 - eps) * plain + eps * described).permute(0, 2, 3, 1)


@pytest.mark.parametrize("training", [True, False])
def test_ldc_is_equation_5(training):
    ldc = drawn_ldc().train(training)
    x = torch.randn(2, 6, 7, 5)
    with torch.no_grad():
        assert (ldc(x) - equation_5(ldc, x)).abs().max() <= 1e-6


def test_fresh_ldc_is_its_plain_convolution():
    ldc = LDC(3)
    x = torch.randn(1, 4, 4, 3)
    plain = functional.conv2d(x.permute(0, 3, 1, 2), ldc.weight, padding=1).permute(0, 2, 3, 1)
    assert ldc.eps.item() == 0.5
    assert torch.equal(ldc(x), plain)


def test_fold_is_made_once_and_is_no_state(monkeypatch):
    ldc = drawn_ldc().eval()
    keys = set(ldc.state_dict())
    made = []
    original = LDC.kernel
    monkeypatch.setattr(LDC, "kernel", lambda self: made.append(1) or original(self))
    x = torch.randn(1, 4, 4, 5)
    with torch.inference_mode():
        first = ldc(x)
        assert torch.equal(ldc(x), first)
    assert len(made) == 1
    assert set(ldc.state_dict()) == keys == {"weight", "mask", "eps"}


def load(ldc):
    ldc.load_state_dict({"weight": ldc.weight * 2, "mask": ldc.mask, "eps": ldc.eps})


def assign(ldc):
    for _ in range(2):  # the second time the versions are those of the first
        tensors = {"weight": ldc.weight * 2, "mask": ldc.mask.clone(), "eps": ldc.eps.clone()}
        ldc.load_state_dict(tensors, assign=True)
        with torch.no_grad():
            x = torch.randn(1, 4, 4, 5)
            assert torch.allclose(ldc(x), equation_5(ldc, x), atol=1e-5)


def in_place(ldc):
    with torch.no_grad():
        ldc.eps.add_(0.2)


def optimize(ldc):
    optimizer = torch.optim.SGD(ldc.parameters(), lr=0.1)
    ldc.train()(torch.ones(1, 4, 4, 5)).square().sum().backward()
    optimizer.step()
    ldc.eval()


def train(ldc):
    ldc.train()
    ldc.weight.data.mul_(2)  # which no version counts
    ldc.eval()


def move(ldc):
    ldc.double()
    ldc.weight.data.mul_(3)
    ldc.float()


@pytest.mark.parametrize("change", [load, assign, in_place, optimize, train, move])
def test_fold_is_dropped_when_the_weights_change(change):
    ldc = drawn_ldc().eval()
    x = torch.randn(1, 6, 6, 5)
    with torch.no_grad():
        before = ldc(x)
    change(ldc)
    with torch.no_grad():
        after = ldc(x)
        assert (after - before).abs().max() > 1e-3
        assert (after - equation_5(ldc, x)).abs().max() <= 1e-6 * after.abs().max()


def test_fold_of_inference_mode_serves_autograd_and_copies():
    ldc = drawn_ldc().eval().requires_grad_(requires_grad=False)
    with torch.inference_mode():
        ldc(torch.randn(1, 4, 4, 5))
    x = torch.randn(1, 4, 4, 5, requires_grad=True)
    copy.deepcopy(ldc)(x).sum().backward()
    assert x.grad is not None


def test_made_in_inference_mode_sees_changes_too():
    with torch.inference_mode():
        ldc, x = drawn_ldc().eval(), torch.randn(1, 4, 4, 5)
        before = ldc(x)
        ldc.weight.mul_(2)
        assert torch.allclose(ldc(x), 2 * before)


def test_eval_mode_still_gives_gradients_to_the_weights():
    ldc = drawn_ldc().eval()
    ldc(torch.randn(1, 4, 4, 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in ldc.parameters())


def test_eca_by_hand():
    eca = ECA()
    nn.init.constant_(eca.conv.weight, 1.0)
    x = torch.tensor([[1.0, 2.0, 4.0], [3.0, -2.0, 0.0]]).view(1, 1, 2, 3)
    # means 2, 0, 2; sums over neighbouring channels 2, 4, 2
    scale = torch.tensor([2.0, 4.0, 2.0]).sigmoid()
    assert torch.allclose(eca(x), x * scale)
    assert sum(p.numel() for p in eca.parameters()) == 3


def test_dwconv_keeps_channels_apart():
    conv = DWConv(3)
    x = torch.zeros(1, 5, 5, 3)
    x[..., 1] = 1
    change = (conv(x) - conv(torch.zeros_like(x)))[0].abs().amax((0, 1))
    assert change[1] > 0
    assert change[0] == change[2] == 0


def test_patch_embedding_sees_its_patch_only():
    torch.manual_seed(0)
    embed = PatchEmbedding(8)
    image = torch.rand(1, 1, 8, 12)
    changed = image.clone()
    changed[..., 4:, 8:] += 0.1
    difference = (embed(image) - embed(changed)).abs().amax(-1)[0]  # [2, 3]
    assert difference.shape == (2, 3)
    assert difference[1, 2] > 0
    assert difference.count_nonzero() == 1
    assert embed(image).mean(-1).abs().max() <= 1e-6  # normalized


def test_patch_merging_order():
    merge = PatchMerging(1)
    merge.norm = nn.Identity()
    with torch.no_grad():
        merge.linear.weight.copy_(torch.tensor([[1.0, 10.0, 100.0, 1000.0], [0, 0, 0, 0]]))
    x = torch.tensor([[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]).view(1, 2, 4, 1)
    # (0, 0), (1, 0), (0, 1), (1, 1)
    assert merge(x)[0, 0, :, 0].tolist() == [1 + 30 + 200 + 4000, 5 + 70 + 600 + 8000]


def test_patch_expanding_places():
    expand = PatchExpanding(4, 2, 1)
    expand.norm = nn.Identity()
    with torch.no_grad():
        expand.linear.weight.copy_(torch.eye(4))
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]).view(1, 1, 2, 4)
    assert expand(x)[0, ..., 0].tolist() == [[1, 2, 5, 6], [3, 4, 7, 8]]
    assert PatchExpanding(8, 4, 2)(torch.randn(1, 3, 2, 8)).shape == (1, 12, 8, 2)


def test_fold_is_of_the_dtype_of_what_it_convolves():
    ldc = drawn_ldc().eval()
    x = torch.randn(1, 6, 7, 5)
    with torch.no_grad():
        half = ldc(x.bfloat16())
        assert half.dtype == torch.bfloat16
        assert (half - ldc(x)).abs().max() <= 0.05
        assert (ldc(x) - equation_5(ldc, x)).abs().max() <= 1e-6
