"""MambaDFuse against numbers of the authors' code."""

import pytest
import torch
from safetensors.torch import load_file

from fusion.fusers.mambadfuse import Config, build
from fusion.network import mambadfuse


@pytest.fixture(scope="module")
def fixture(shared):
    return load_file(shared / "fixtures" / "mambadfuse_released_code_small.safetensors")


@pytest.fixture(scope="module")
def weights(fixture):
    return {k.removeprefix("weights/"): v for k, v in fixture.items() if k.startswith("weights/")}


@pytest.fixture(scope="module")
def authors(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("authors") / "10000_E.pth"
    torch.save(weights, path)
    return build(Config(weights=str(path))).network


@pytest.mark.parametrize("piece", [mambadfuse.PIECE, 100])
@pytest.mark.parametrize("case", ["case/24x40", "case/19x27", "padded/16x21"])
def test_gives_the_image_of_the_released_code(fixture, authors, case, piece, monkeypatch):
    monkeypatch.setattr(mambadfuse, "PIECE", piece)
    ir, vis, out = (fixture[f"{case}/{name}"] for name in ("ir", "vis", "out"))
    run = authors if case.startswith("padded") else authors.fuse
    with torch.inference_mode():
        found = run(ir=ir, vis=vis)
    assert (found - out).norm() < 1e-5 * (out - out.mean()).norm()


def test_reads_the_size_of_the_released_code(weights, authors):
    assert authors.architecture.width == 20
    assert authors.architecture.blocks == (8, 2, 5, 8)
    assert authors.state_dict().keys() == weights.keys()
