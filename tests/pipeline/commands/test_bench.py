from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import fusion
from common.errors import ConfigError
from fusion.fusers.fusionmamba import SIZES
from fusion.network import checkpoint
from fusion.network.fusionmamba import Architecture, FusionMamba
from pipeline import cli
from pipeline.commands import bench

CPU = torch.device("cpu")


@pytest.fixture
def small(monkeypatch):
    """A network and frames that take no time, and no matrix product to wait for."""
    monkeypatch.setitem(SIZES, "tiny", (8, (1, 1, 1, 1)))
    monkeypatch.setattr(bench, "FRAME", (32, 64))
    monkeypatch.setattr(bench, "matrix_peak", lambda device, dtype: 100.0)


def test_command_prints_a_row_for_each_dtype(small, capsys, monkeypatch):
    told = []

    @contextmanager
    def progress(what):
        yield lambda done, total: told.append((done, total))

    monkeypatch.setattr(bench, "progress", progress)
    assert cli.main(["bench", "--size", "tiny", "--quick"]) == 0
    assert told == [(0, 2), (1, 2), (2, 2)]
    out = capsys.readouterr().out
    rows = [[c.strip() for c in line.split("│")[1:4]] for line in out.splitlines() if "│ " in line]
    assert rows == [["tiny", "float32", "32x64"], ["tiny", "bfloat16", "32x64"]]
    assert "load" in out


@pytest.mark.parametrize(("option", "name"), [("--size", "huge"), ("--dtype", "int8")])
def test_unknown_names_are_one_line(small, capsys, option, name):
    assert cli.main(["bench", option, name, "--quick"]) == 2
    assert f"'{name}': choose one of" in capsys.readouterr().err


def test_the_networks_have_the_head_of_the_weights_that_ship():
    shipped = checkpoint.read(Path(fusion.__file__).parent / "weights" / "tiny.safetensors")
    network = bench.new_fuser("tiny").network
    assert network.architecture == shipped.architecture(FusionMamba.NAME, Architecture)


def test_unknown_size():
    with pytest.raises(ConfigError, match="choose one of tiny, small, base"):
        bench.new_fuser("huge")


def test_flops_by_hand():
    linear = torch.nn.Linear(8, 4, bias=False)
    assert bench.gflops(linear, lambda: linear(torch.ones(3, 8))) == {
        "dense": pytest.approx(2 * 3 * 8 * 4 / 1e9),
        "scan": 0,
    }
    es2d = bench.ES2D(16, 1, "numba")
    counted = bench.gflops(es2d, lambda: es2d(torch.ones(1, 3, 4, 16)))
    # an odd side is padded: 16 tokens of 16 channels with 16 numbers of state
    assert counted["scan"] * 1e9 == pytest.approx(16 * 16 * (7 * 16 + 2))
    assert counted["dense"] * 1e9 == pytest.approx(2 * 16 * 16 * 33)


def test_groups_add_up_to_the_run(small):
    cost = bench.measure(bench.new_fuser("tiny"), (32, 64), torch.float32, CPU, runs=1)
    assert set(cost.busy) == {"scan", "dense", "norm", "copies", "other"}
    assert all(value > 0 for value in cost.busy.values())
    assert cost.gflops["dense"] > 0
    assert cost.gflops["scan"] > 0
