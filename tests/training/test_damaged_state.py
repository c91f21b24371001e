"""State of a training that is read back damaged: one line, and nothing is computed."""

import io
import json
import shutil
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import DataError, IrvisError, WeightsError
from tests.helpers.recipes import killed_at, make, write_pairs
from tests.helpers.runs import silent
from training import targets
from training.loop import Trainer, train


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The working folder of a training that was killed, and a copy of it."""
    folder = write_pairs(tmp_path_factory.mktemp("killed"))
    with chdir(folder), pytest.raises(KeyboardInterrupt):
        train(make(), killed_at(3))
    copy = tmp_path_factory.mktemp("copy") / "killed"
    return folder, shutil.copytree(folder, copy)


@pytest.fixture
def partial(killed, monkeypatch):
    """Its run folder, in the working folder; a training that goes on fails the test."""
    folder, copy = killed
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)  # to the same place, which the cache is named by
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Trainer, "advance", lambda self: pytest.fail("went on"))
    return folder / "runs" / "t.partial"


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def refused(wanted, match):
    with pytest.raises(wanted, match=match) as error:
        train(make(run__resume=True), silent)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_checkpoint(partial):
    path = partial / "checkpoint.pt"
    good = path.read_bytes()
    state = torch.load(path, weights_only=True)
    wrong = [
        b"",
        b"\x80",
        good[: len(good) // 2],
        saved([]),
        saved({}),
        saved(state | {"step": "x" * 5000}),
        saved(state | {"network": 3}),
        saved(state | {"average": {}}),
        saved(state | {"optimizer": {"state": 1, "param_groups": []}}),
        saved(state | {"optimizer": None}),
    ]
    for content in wrong:
        path.write_bytes(content)
        refused(WeightsError, r"checkpoint\.pt: is no checkpoint of this training")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.csv", b"\xff\xfe"),
        ("scores.csv", b"step,set\n1,a\n\xff"),
        ("scores.csv", b"step,set\n" + b"9" * 6000 + b",a\n"),
        ("config.yaml", b"a: !!int ''"),
        ("config.yaml", b"[1"),
        ("config.yaml", b""),
    ],
)
def test_a_file_of_its_folder(partial, name, content):
    (partial / name).write_bytes(content)
    refused(IrvisError, name)


@pytest.mark.parametrize(
    "change",
    [
        lambda index: [],
        lambda index: {},
        lambda index: index | {"ids": index["ids"][1:]},
        lambda index: index | {"places": [[0, 10**12, 1]] * len(index["ids"])},
        lambda index: index | {"truth": [[[[0, 0, 1, 1]], [], []]] * len(index["ids"])},
        lambda index: index | {"truth": [[[[0, 0, 1]], [1], []]] * len(index["ids"])},
    ],
)
@pytest.mark.usefixtures("partial")
def test_the_index_of_a_cache(change):
    (path,) = Path("cache").glob("*.json")
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    refused(DataError, r"\.json: is damaged .*remove it, and its pairs are decoded")


@pytest.mark.usefixtures("partial")
def test_the_pairs_of_a_cache():
    (path,) = Path("cache").glob("*.bin")
    path.write_bytes(path.read_bytes()[:-1])
    refused(DataError, "is damaged .pairs are missing.")
    path.unlink()
    refused(DataError, "is damaged")


def test_cached_detections(tmp_path):
    path = tmp_path / "late.npz"
    np.savez(path, a=np.zeros((3, 6), np.float32))
    good = path.read_bytes()
    assert list(targets._read(path)) == ["a"]
    for content in (b"", b"PK", good[:-30], good[:60] + b"x" * 20 + good[80:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"late\.npz: is damaged .*remove it"):
            targets._read(path)
    for other in (np.zeros(6, np.float32), np.array([object()] * 6), np.array(["x"] * 6)):
        np.savez(path, a=other)
        with pytest.raises(DataError, match="is damaged"):
            targets._read(path)
