import pytest
import torch
from torch import nn
from torch.nn import functional

from fusion.network.gate_unet import Architecture, GateUNet


def network(drawn=True, **more):
    """A small network in eval mode, its head drawn unless it is to be untrained."""
    torch.manual_seed(0)
    net = GateUNet(Architecture(widths=(8, 16, 24), **more)).eval()
    if drawn:
        nn.init.normal_(net.head.weight, std=0.5)
    return net


def pair(height=32, width=48, batch=1):
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, batch, 1, height, width, generator=generator)
    return {"ir": images[0], "vis": images[1]}


def test_parameter_count():
    with torch.device("meta"):
        net = GateUNet(Architecture())
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(2.07, abs=0.005)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (33, 47), (32, 64)])
def test_any_size(height, width):
    inputs = pair(height, width)
    mean = (inputs["ir"] + inputs["vis"]) / 2
    with torch.no_grad():
        assert torch.allclose(network(drawn=False)(**inputs), mean, atol=1e-6)
        fused = network()(**inputs)
    assert fused.shape == (1, 1, height, width)
    assert 0 <= fused.min() <= fused.max() <= 1
    assert not torch.allclose(fused, mean, atol=1e-3)


def test_clamped_in_eval_only():
    net, inputs = network(), pair()
    nn.init.constant_(net.head.bias, 9.0)
    with torch.no_grad():
        assert net(**inputs).max() == 1
        assert net.train()(**inputs).max() > 1


def test_images_of_a_batch_are_apart():
    net, inputs = network(), pair(batch=3)
    with torch.no_grad():
        together = net(**inputs)
        apart = torch.cat([net(ir=inputs["ir"][[i]], vis=inputs["vis"][[i]]) for i in range(3)])
    assert (together - apart).abs().max() <= 1e-5


def test_maps_are_at_half_the_resolution():
    with torch.no_grad():
        maps = network().maps(**pair(32, 48))
    assert maps.shape == (1, 2, 16, 24)


def test_every_weight_learns():
    net, inputs = network().train(), pair()
    (net(**inputs) ** 2).mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


@pytest.mark.parametrize("wrong", [torch.rand(1, 1, 32, 33), torch.rand(1, 32, 32)])
def test_wrong_shapes(wrong):
    with pytest.raises(ValueError, match=r"must both be \[B, 1, H, W\]"):
        network()(**(pair() | {"ir": wrong}))


def test_the_edges_are_those_of_a_larger_image():
    """The zeros that convolutions see beyond an image would show as a line along its edges."""
    net, inputs = network(), pair(32, 48)
    larger = {name: functional.pad(image, [16] * 4, "reflect") for name, image in inputs.items()}
    with torch.no_grad():
        fused = net(**inputs)
        whole = net.train()(**larger).clamp(0, 1)  # without a margin
    assert torch.allclose(fused, whole[..., 16:-16, 16:-16], atol=1e-6)
