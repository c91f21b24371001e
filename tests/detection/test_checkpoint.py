"""Checkpoints that are small and cost a lot."""

import zipfile

import pytest
import torch
from torch import nn

from common.errors import WeightsError
from common.tensors import HEADER, check_header
from detection.checkpoint import CLASSES_MOST, class_names, read_checkpoint, state_of
from fusion.network import checkpoint


def saved(path, module):
    torch.save({"model": module}, path)
    return read_checkpoint(path)["model"]


def test_the_tensors_of_a_checkpoint_are_those_of_torch(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4), nn.SiLU())).half()
    state = state_of(saved(tmp_path / "a.pt", module), tmp_path / "a.pt")
    expected = module.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], value.float()) for key, value in expected.items())


def test_modules_that_hold_the_next_one_twice_are_looked_at_once(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 1))
    for _ in range(45):
        module = nn.Sequential(module, module)
    read = saved(tmp_path / "dag.pt", module)
    assert len(state_of(read, tmp_path / "dag.pt")) == 2
    for _ in range(10):
        module = nn.Sequential(module)
    with pytest.raises(WeightsError, match="nested deeper than 50"):
        state_of(saved(tmp_path / "deep.pt", module), tmp_path / "deep.pt")


def test_tensors_larger_than_their_file_are_refused(tmp_path):
    large = torch.zeros(1, dtype=torch.half).expand(1_400_000_000)
    module = nn.Linear(1, 1)
    module.weight = nn.Parameter(large, requires_grad=False)
    with pytest.raises(WeightsError, match=r"would take 2800 MB.*most of it weight"):
        state_of(saved(tmp_path / "expand.pt", module), tmp_path / "expand.pt")
    torch.save({"weight": large}, tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match="would take 2800 MB"):
        checkpoint.read(tmp_path / "plain.pth")
    one = torch.zeros(1000, 1000)  # 4 MB, a hundred times over
    torch.save({f"w{i}": one for i in range(100)}, tmp_path / "shared.pth")
    with pytest.raises(WeightsError, match="would take 400 MB"):
        checkpoint.read(tmp_path / "shared.pth")


def test_packed_zeros_are_refused(tmp_path):
    torch.save({"model": nn.Linear(1000, 5000)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as old,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(
                entry.filename,
                bytes(entry.file_size) if "/data/" in entry.filename else old.read(entry),
            )
    with pytest.raises(WeightsError, match="would unpack to 20 MB"):
        read_checkpoint(tmp_path / "b.pt")


def test_headers_and_names_have_limits(tmp_path):
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write((HEADER + 1).to_bytes(8, "little") + b"{}")
        file.truncate(HEADER + 9)  # the rest takes no disk space
    with pytest.raises(WeightsError, match="its header claims"):
        check_header(path)
    assert (
        class_names(["a", "b"], path) == class_names({"0": "a", 1: "b"}, path) == {0: "a", 1: "b"}
    )
    for names in (["x"] * (CLASSES_MOST + 1), "abc", {"x": "y"}, dict.fromkeys(range(3_000_000))):
        with pytest.raises(WeightsError, match="class"):
            class_names(names, path)
