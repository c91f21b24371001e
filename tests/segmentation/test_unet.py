"""The U-Net and the segmenter that runs it."""

import json

import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from torch import nn

from common.errors import WeightsError
from fusion.network import checkpoint
from fusion.network.gate_unet import Architecture as GateArchitecture
from fusion.network.gate_unet import GateUNet
from segmentation.segmenters import unet
from segmentation.unet import Architecture, UNet

NAMES = {0: "background", 4: "enhancing", 2: "oedema"}


def network(**more):
    torch.manual_seed(0)
    return UNet(Architecture(names=NAMES, **{"width": 4, "levels": 3, **more})).eval()


def saved(path, net):
    checkpoint.save(path, net)
    return unet.build(unet.Config(weights=str(path)), device=torch.device("cpu"))


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("size", [(16, 24), (13, 9), (3, 2)])
def test_scores_of_every_pixel_of_any_size(levels, size):
    net = network(levels=levels)
    images = torch.rand(2, 3, *size)
    scores = net(images)
    assert scores.shape == (2, 3, *size)
    # no image depends on the others of its batch
    assert torch.allclose(net(images[1:]), scores[1:], atol=1e-5)


def test_the_channels_double_and_each_resolution_is_seen_by_the_decoder():
    """Counted by hand: two 3x3 convolutions a block and two numbers a normalized channel."""

    def block(before, after):
        return 9 * (before * after + after * after) + 4 * after

    blocks = [(3, 4), (4, 8), (8, 16), (16 + 8, 8), (8 + 4, 4)]
    expected = sum(block(*channels) for channels in blocks) + 4 * 3 + 3
    assert sum(p.numel() for p in network().parameters()) == expected


def test_a_pixel_gets_the_label_of_its_highest_score(tmp_path):
    net = network()
    segment = saved(tmp_path / "w.safetensors", net)
    images = torch.randint(256, (3, 3, 20, 12), dtype=torch.uint8)
    with torch.no_grad():
        channels = net(images / 255).argmax(1)
    assert {0, 1, 2} == set(channels.unique().tolist())
    labels = segment(images)
    assert (labels.dtype, labels.shape) == (torch.uint8, (3, 20, 12))
    assert labels.tolist() == torch.tensor([0, 2, 4])[channels].tolist()  # ascending, not as given


def test_large_images_are_taken_a_few_at_a_time(tmp_path, monkeypatch):
    segment = saved(tmp_path / "w.safetensors", network())
    images = torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8)
    at_once = segment(images)
    monkeypatch.setattr(unet, "PIXELS", 2 * 16 * 16)
    assert torch.equal(segment(images), at_once)
    monkeypatch.setattr(unet, "PIXELS", 1)
    assert torch.equal(segment(images), at_once)


def test_the_file_holds_its_classes_and_states_who_it_is(tmp_path):
    path = tmp_path / "w.safetensors"
    segment = saved(path, network())
    assert segment.names == NAMES
    stated = segment.fingerprint
    assert json.loads(json.dumps(stated)) == stated | {
        "architecture": {"names": {"0": "background", "4": "enhancing", "2": "oedema"},
                         "width": 4, "levels": 3, "channels": 3}
    }  # fmt: skip
    assert stated["weights_sha256"] == unet.Config(weights=str(path)).weights_sha256()
    with safe_open(path, framework="np") as file:
        assert file.metadata()["network"] == "unet"


def test_files_that_are_no_weights_of_a_segmenter(tmp_path):
    def build(path):
        unet.build(unet.Config(weights=str(path)), device=torch.device("cpu"))

    with pytest.raises(WeightsError, match="no weights at"):
        build(tmp_path / "none.safetensors")
    fuser = tmp_path / "fuser.safetensors"
    checkpoint.save(fuser, GateUNet(GateArchitecture()))
    with pytest.raises(WeightsError, match="weights of gate_unet, not of unet"):
        build(fuser)
    bare = tmp_path / "bare.pt"
    torch.save(network().state_dict(), bare)
    with pytest.raises(WeightsError, match="does not name its network and classes"):
        build(bare)
    other = tmp_path / "other.safetensors"
    net = network()
    net.head = nn.Conv2d(4, 2, 1)
    checkpoint.save(other, net)
    with pytest.raises(WeightsError, match="of another shape: head"):
        build(other)


@pytest.mark.parametrize(
    "settings", [{"names": {0: "a"}}, {"names": {0: "a", 256: "b"}}, {"width": 6}, {"levels": 0}]
)
def test_impossible_settings(settings):
    with pytest.raises(ValidationError):
        Architecture(**{"names": NAMES, **settings})
