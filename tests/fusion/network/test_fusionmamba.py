import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from fusion.fusers.fusionmamba import SIZES
from fusion.network.es2d import ES2D
from fusion.network.fusionmamba import Architecture, FusionMamba
from fusion.network.layers import ECA, LDC
from tests.fusion.network.random_inputs import pair


def network(drawn=True, seed=0, **switches):
    """A small network in eval mode, its head drawn unless it is to be untrained."""
    torch.manual_seed(seed)
    net = FusionMamba(Architecture(width=8, depths=(1, 1, 1, 1), **switches)).eval()
    if drawn:
        nn.init.normal_(net.head.weight, std=0.05)
    return net


def count(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("size", "millions"), [("tiny", 6.94), ("small", 23.29), ("base", 114.56)])
def test_parameter_counts(size, millions):
    width, depths = SIZES[size]
    with torch.device("meta"):
        net = FusionMamba(Architecture(width=width, depths=depths))
    assert count(net) / 1e6 == pytest.approx(millions, abs=0.005)


HEADS = pytest.mark.parametrize("kind", ["mean", "gate", "fine"])


@HEADS
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (33, 47), (32, 64)])
def test_untrained_returns_the_mean(height, width, kind):
    inputs = pair(height, width)
    with torch.no_grad():
        fused = network(drawn=False, head=kind)(**inputs)
    mean = (inputs["ir"] + inputs["vis"]) / 2
    assert torch.allclose(fused, mean, rtol=0, atol=0 if kind == "mean" else 1e-7)


@HEADS
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (33, 47)])
def test_any_size(height, width, kind):
    inputs = pair(height, width)
    with torch.no_grad():
        fused = network(head=kind)(**inputs)
    assert fused.shape == (1, 1, height, width)
    assert fused.isfinite().all()
    assert 0 <= fused.min() <= fused.max() <= 1
    assert not torch.equal(fused, (inputs["ir"] + inputs["vis"]) / 2)


def test_padding_is_reflection():
    net, inputs = network(), pair(32, 20)
    mirrored = {k: torch.cat((v, v.flip(-1)[..., 1:13]), dim=-1) for k, v in inputs.items()}
    with torch.no_grad():
        assert torch.allclose(net(**inputs), net(**mirrored)[..., :20], atol=1e-6)


def test_the_edges_of_a_fine_gate_are_those_of_a_larger_image():
    """The zeros that convolutions see beyond an image would show as a line along its edges."""
    net, inputs = network(head="fine"), pair(32, 64)
    larger = {name: functional.pad(image, [16] * 4, "reflect") for name, image in inputs.items()}
    with torch.no_grad():
        fused = net(**inputs)
        whole = net.train()(**larger).clamp(0, 1)  # without a margin
    assert torch.allclose(fused, whole[..., 16:-16, 16:-16], atol=1e-6)


def test_images_of_a_batch_are_apart():
    net, inputs = network(), pair(batch=3)
    with torch.no_grad():
        together = net(**inputs)
        apart = torch.cat([net(ir=inputs["ir"][[i]], vis=inputs["vis"][[i]]) for i in range(3)])
    assert (together - apart).abs().max() <= 1e-5


def test_repeats_and_knows_the_modalities():
    net, inputs = network(), pair()
    with torch.inference_mode():
        first = net(**inputs)
        assert torch.equal(net(**inputs), first)
        swapped = net(ir=inputs["vis"], vis=inputs["ir"])
    assert (swapped - first).abs().max() > 1e-4


# 40 x 64 is padded to 64 x 64 for a gate, and with a margin to 96 x 96 for a fine one
@pytest.mark.parametrize(("kind", "side"), [("gate", 64 // 4), ("fine", 96 // 2)])
def test_the_gate_works_at_a_fraction_of_the_resolution(kind, side):
    net, shapes = network(head=kind), []
    net.head.register_forward_hook(lambda module, given, out: shapes.append(tuple(out.shape)))
    with torch.no_grad():
        net(**pair(40, 64))
    assert shapes == [(1, side, side, 2)]
    assert net.expand_last is None


def test_the_fine_gate_sees_single_pixels():
    """Without the trunk's features, a pixel changes the output round it, elsewhere hardly."""
    net, inputs = network(head="fine"), pair(64, 64)
    nn.init.zeros_(net.fine.expand.norm.weight)
    with torch.no_grad():
        before = net(**inputs)
        inputs["ir"][..., 40, 24] = 1 - inputs["ir"][..., 40, 24].round()
        changed = ((net(**inputs) - before).abs() > 1e-3)[0, 0].nonzero()
    assert len(changed) > 0
    assert (changed - torch.tensor([40, 24])).abs().max() <= 9  # three convolutions, one enlarging


def test_clamped_in_eval_only():
    net, inputs = network(), pair()
    nn.init.constant_(net.head.bias, 5.0)
    with torch.no_grad():
        assert (net(**inputs) == 1).all()
        assert net.train()(**inputs).min() > 1


def test_dtypes():
    net, inputs = network(), pair()
    with torch.no_grad():
        full = net(**inputs)
        double = net.double()(**{k: v.double() for k, v in inputs.items()})
        half = net.to(torch.bfloat16)(**{k: v.to(torch.bfloat16) for k, v in inputs.items()})
    assert double.dtype == torch.float64
    assert (double - full).abs().max() <= 1e-5
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().mean() <= 0.01


def test_both_modalities_are_one_encoder_batch(monkeypatch):
    batches = []
    net = network()
    for blocks in net.encoder:
        blocks.register_forward_hook(lambda module, given, out: batches.append(len(out)))
    with torch.no_grad():
        net(**pair(batch=2))
    assert batches == [4, 4, 4, 4]


@pytest.mark.parametrize(
    "wrong",
    [{"ir": torch.rand(1, 1, 32, 33)}, {"ir": torch.rand(1, 32, 32)}, {"ir": torch.rand(1)}],
)
def test_wrong_shapes(wrong):
    with pytest.raises(ValueError, match=r"must both be \[B, 1, H, W\]"):
        network()(**(pair() | wrong))


@pytest.mark.parametrize("switches", [{}, {"block": "attention"}, {"fuse": "dvss"}])
def test_gradient_reaches_every_parameter(switches):
    net = network(**switches).train()
    for module in net.modules():  # at m = 1 the kernel doesn't depend on eps
        if isinstance(module, LDC):
            nn.init.normal_(module.mask)
    # 128 pixels are the fewest at which each direction of the last level has several tokens
    fused = net(**pair(128, 128))
    (fused - pair(128, 128, seed=2)["vis"]).square().mean().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_a_step_of_training_lowers_the_loss():
    net, inputs = network(drawn=False).train(), pair()
    target = torch.maximum(inputs["ir"], inputs["vis"])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(4):
        loss = (net(**inputs) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


SWITCHES = {
    "no ldc": {"ldc": False},
    "no eca": {"eca": False},
    "evss": {"block": "evss"},
    "attention": {"block": "attention"},
    "no dfem": {"dfem": False},
    "no cmfm": {"cmfm": False},
    "dvss": {"fuse": "dvss"},
}


def parts(net, kind):
    return sum(isinstance(module, kind) for module in net.modules())


@pytest.mark.parametrize(
    ("name", "ldc", "eca", "es2d"),
    [
        # 8 blocks with one of each; 4 fusions with LDC twice, ECA and ES2D once
        ("no ldc", 0, 12, 12),
        ("no eca", 16, 0, 12),
        ("evss", 8, 4, 12),
        ("attention", 16, 12, 4),
        ("no dfem", 8, 12, 12),
        ("no cmfm", 16, 8, 8),
        ("dvss", 12, 12, 12),
    ],
)
def test_ablation_parts(name, ldc, eca, es2d):
    full, ablated = network(), network(**SWITCHES[name])
    assert (parts(full, LDC), parts(full, ECA), parts(full, ES2D)) == (16, 12, 12)
    assert (parts(ablated, LDC), parts(ablated, ECA), parts(ablated, ES2D)) == (ldc, eca, es2d)
    assert count(ablated) != count(full)


@pytest.mark.parametrize("name", ["no ldc", "no eca", "evss", "no dfem", "no cmfm"])
def test_ablation_changes_the_image_at_the_same_weights(name):
    full, ablated = network(), network(**SWITCHES[name])
    kept = {k: v for k, v in full.state_dict().items() if k in ablated.state_dict()}
    ablated.load_state_dict(kept)  # strict: an ablation only leaves weights out
    with torch.no_grad():
        assert (full(**pair()) - ablated(**pair())).abs().max() > 1e-4


def test_parameter_counts_of_the_ablations():
    full = count(network())
    widths = [8, 16, 32, 64]
    ldc = sum(4 * (9 * c * c + 9 * c + 1) for c in widths)  # two blocks and twice in DFEM
    assert count(network(ldc=False)) == full - ldc
    assert count(network(eca=False)) == full - 12 * 3
    assert count(network(dfem=False)) == full - ldc // 2
    evss = sum(2 * (9 * c * c + 9 * c + 1 + 3 + 2 * c) for c in widths)
    assert count(network(block="evss")) == full - evss
    scans = sum(
        2 * 4 * (2 * c) * ((math.ceil(c / 16) + 32) + math.ceil(c / 16) + 1 + 16 + 1)
        for c in widths
    )
    attention = sum(2 * 3 * (2 * c) ** 2 for c in widths)
    assert count(network(block="attention")) == full - scans + attention


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 6},
        {"width": 10},
        {"depths": (1, 1, 0, 1)},
        {"depths": (1, 1, 1)},
        {"fuse": "dvss", "dfem": False},
        {"fuse": "dvss", "cmfm": False},
        {"heads": 2},
    ],
)
def test_wrong_architecture(wrong):
    with pytest.raises(ValidationError):
        Architecture(**({"width": 8, "depths": (1, 1, 1, 1)} | wrong))
