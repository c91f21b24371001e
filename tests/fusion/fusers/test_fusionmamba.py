import logging

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from common.errors import WeightsError
from fusion.color import fuse_luminance
from fusion.fusers.fusionmamba import SIZES, Config, build
from fusion.network import checkpoint
from fusion.network.fusionmamba import Architecture, FusionMamba
from tests.fusion.fusers.pairs import pair

SMALL = {"width": 8, "depths": (1, 1, 1, 1)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint with a head that does something."""
    torch.manual_seed(0)
    network = FusionMamba(Architecture(**SMALL, dfem=False))
    nn.init.normal_(network.head.weight, std=0.05)
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    checkpoint.save(path, network)
    return path


def mean(*, ir, vis):
    return (ir + vis) / 2


def test_untrained_is_the_mean_and_says_so(caplog):
    caplog.set_level(logging.WARNING, "fusion.fusers.fusionmamba")
    fuser = build(Config(**SMALL))
    with torch.no_grad():
        for _ in range(2):
            inputs = pair()
            assert torch.equal(fuser(**inputs), fuse_luminance(mean, **inputs))
    assert len(caplog.records) == 1
    assert "untrained: it returns the mean" in caplog.text


def test_weights_bring_their_architecture(weights):
    fuser = build(Config(weights=str(weights)))
    assert isinstance(fuser, nn.Module)
    assert not fuser.training
    assert fuser.network.architecture == Architecture(**SMALL, dfem=False)
    with torch.inference_mode():
        fused = fuser(**pair())
    assert fused.shape == (2, 3, 9, 12)
    assert 0 <= fused.min() <= fused.max() <= 1
    assert (fused - fuse_luminance(mean, **pair())).abs().max() > 1e-3


def test_grey_stays_grey(weights):
    inputs = pair()
    inputs["vis"] = inputs["vis"][:, :1].repeat(1, 3, 1, 1)
    with torch.inference_mode():
        fused = build(Config(weights=str(weights)))(**inputs)
    assert torch.equal(fused, fused[:, :1].expand_as(fused))


def test_differentiable_to_both_inputs(weights):
    inputs = {k: (0.3 + 0.4 * v).requires_grad_() for k, v in pair().items()}
    build(Config(weights=str(weights)))(**inputs).square().sum().backward()
    assert inputs["ir"].grad.abs().max() > 0
    assert inputs["vis"].grad.abs().max() > 0


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"size": "tiny"}, "width 8, but the configuration asks for 32"),
        ({"width": 16}, "width 8, but the configuration asks for 16"),
        ({"depths": (1, 1, 2, 1)}, r"depths \(1, 1, 1, 1\), but"),
        ({"dfem": True}, "dfem False, but the configuration asks for True"),
        ({"block": "evss"}, "block dvss, but the configuration asks for evss"),
    ],
)
def test_conflict_with_the_weights(weights, options, name):
    with pytest.raises(WeightsError, match=name) as caught:
        build(Config(weights=str(weights), **options))
    assert "\n" not in str(caught.value)


def test_saying_the_same_is_no_conflict(weights):
    build(Config(weights=str(weights), **SMALL, dfem=False, block="dvss", scan="reference"))


def test_weights_without_metadata_follow_the_configuration(weights, tmp_path):
    path = tmp_path / "a.pth"
    torch.save(dict(checkpoint.read(weights).tensors), path)
    with torch.inference_mode():
        bare = build(Config(weights=str(path), **SMALL, dfem=False))(**pair())
        assert torch.equal(bare, build(Config(weights=str(weights)))(**pair()))
    with pytest.raises(WeightsError, match=r"missing: fusion\.0\.dfem"):
        build(Config(weights=str(path), **SMALL))


def test_missing_weights():
    with pytest.raises(WeightsError, match=r"no weights at .*fusion/weights/nosuch\.safetensors"):
        build(Config(weights="nosuch"))


@pytest.mark.parametrize("name", ["ir", "vis"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.01, 1.01])
def test_values_out_of_range(weights, name, value):
    inputs = pair()
    inputs[name][1, 0, 3, 4] = value
    with pytest.raises(ValueError, match=rf"{name} has NaN or values outside \[0, 1\]"):
        build(Config(weights=str(weights)))(**inputs)


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_sizes(size, monkeypatch):
    built = []
    monkeypatch.setattr(
        "fusion.fusers.fusionmamba.FusionMamba",
        lambda architecture, scan: built.append(architecture) or nn.Identity(),
    )
    build(Config(size=size))
    build(Config(size=size, width=16))
    width, depths = SIZES[size]
    assert built == [
        Architecture(width=width, depths=depths),
        Architecture(width=16, depths=depths),
    ]


@pytest.mark.parametrize(
    "wrong", [{"size": "huge"}, {"scan": "fast"}, {"width": 9}, {"depth": 2}, {"weights": 3}]
)
def test_wrong_configuration(wrong):
    with pytest.raises(ValidationError):
        Config(**wrong)
