"""The authors' network: its file, its image, its size."""

import pytest
import torch
from safetensors.torch import load_file

from fusion.network.released import ReleasedFusionMamba, from_checkpoint, stored_key
from fusion.network.released_blocks import CrossBlock, DescriptiveConv
from tests.fusion.network.released import SCAN

# --- the authors' network


@pytest.fixture(scope="module")
def fixture(shared):
    return load_file(shared / "fixtures" / "fusionmamba_released_code_small.safetensors")


@pytest.fixture(scope="module")
def authors(fixture, tmp_path_factory):
    weights = {
        k.removeprefix("weights/"): v for k, v in fixture.items() if k.startswith("weights/")
    }
    path = tmp_path_factory.mktemp("authors") / "weights.pth"
    torch.save(weights, path)
    return from_checkpoint(path)


@pytest.mark.parametrize("size", ["64x64", "96x128"])
def test_gives_the_image_of_the_released_code(fixture, authors, size):
    ir, vis, out = (fixture[f"case/{size}/{name}"] for name in ("ir", "vis", "out"))
    with torch.inference_mode():
        change = authors(ir=ir, vis=vis) - 2 * (vis + ir)
    expected = out - 2 * (vis + ir)
    assert (change - expected).norm() <= 1e-5 * expected.norm()


def test_reads_the_size_of_the_released_code(authors):
    assert (authors.width, authors.depths) == (8, (1, 1, 2, 1))


def test_keys_are_those_of_the_released_code(fixture, authors):
    keys = {k.removeprefix("weights/") for k in fixture if k.startswith("weights/")}
    ours = {stored_key(key) for key in authors.state_dict()}
    assert ours < keys
    unused = ("Cross_block.0.", ".lastconv.", ".base_mask")
    assert all(any(part in key for part in unused) for key in keys - ours)


def entries(width, depths):
    """Parameters of the network, and entries of a file of it with what is in it for nothing."""
    with torch.device("meta"):
        network = ReleasedFusionMamba(width, depths)
        level_0 = CrossBlock(width, SCAN)
    used = sum(p.numel() for p in network.parameters())
    described = [
        m for m in (*network.modules(), *level_0.modules()) if isinstance(m, DescriptiveConv)
    ]
    unused = [
        sum(p.numel() for p in level_0.parameters()),
        sum(conv.weight.numel() for conv in described),  # the base masks
        sum((width << level) // 2 * ((width << level) + 1) for level in range(4)),  # lastconv
    ]
    return used, used + sum(unused)


def test_entries_of_the_authors_size():
    used, stored = entries(96, (2, 2, 9, 2))
    assert used == 163_819_456
    assert round(stored / 1e6) == 225


def test_entries_of_the_authors_code(fixture):
    stored = sum(v.numel() for k, v in fixture.items() if k.startswith("weights/"))
    assert entries(8, (1, 1, 2, 1))[1] == stored
