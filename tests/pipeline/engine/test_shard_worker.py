"""A worker's node: its data, its weights, its processor."""

import hashlib
from pathlib import Path

import pytest

from common.errors import DataError, DeviceError, WeightsError
from pipeline.config import config
from pipeline.engine import sent_weights
from pipeline.engine.nodes import check_node, versions
from pipeline.engine.order import Order
from pipeline.engine.said import Said
from pipeline.engine.sent_weights import Sent, collect, with_weights
from pipeline.engine.shard_log import Kept
from pipeline.engine.shard_worker import Worker
from tests.helpers import toys


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A worker goes to the driver's folder; the tests after these stay where they are."""
    monkeypatch.chdir(tmp_path)


def order(tmp_path, **more):
    settings = toys.settings(tmp_path / "pairs", **more)
    return Order(settings, False, Kept(), str(tmp_path), (), {})


def test_a_node_that_does_not_see_the_data(tmp_path):
    about = Worker(order(tmp_path)).prepare()
    assert about["problem"].startswith(f"source.root: {tmp_path / 'pairs'} is no folder")
    with pytest.raises(DataError, match=rf"^node {about['node']}: source\.root: .* is no folder"):
        check_node(about, mixed=False, said=Said())


def test_a_node_that_has_everything(tmp_path):
    toys.write_pairs(tmp_path / "pairs", 1)
    assert Worker(order(tmp_path)).prepare()["problem"] == ""


def test_another_processor_is_refused_or_named():
    about = {"node": "n7", "problem": "", "versions": {**versions(), "processor": "Z80"}}
    mine = versions()["processor"]
    with pytest.raises(DeviceError, match=r"node n7 has processor Z80, the driver .*mixed=true"):
        check_node(about, mixed=False, said=Said())
    said = Said()
    check_node(about, mixed=True, said=said)
    text = f"node n7 has processor Z80, the driver {mine}: results may differ in their last digits"
    assert said.texts() == (text,)


def test_another_version_is_refused():
    about = {"node": "n7", "problem": "", "versions": {**versions(), "torch": "1.0"}}
    with pytest.raises(DeviceError, match=r"node n7 has torch 1\.0, the driver "):
        check_node(about, mixed=False, said=Said())


CONTENT = b"weights"
SENT = Sent("my.safetensors", hashlib.sha256(CONTENT).hexdigest(), CONTENT)


def settings(path):
    one = {"kind": "gate_unet", "weights": str(path)}
    return {"arms": {"one": one, "two": {"kind": "average"}}}


def test_a_node_without_the_weights_gets_them(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    found = with_weights(settings(tmp_path / "my.safetensors"), {("arms", "one"): SENT})
    path = Path(found["arms"]["one"]["weights"])
    assert path.read_bytes() == CONTENT
    assert (path.name, path.parent.name) == ("my.safetensors", SENT.sha256)
    assert found["arms"]["two"] == {"kind": "average"}
    path.write_bytes(b"damaged")
    with_weights(settings(tmp_path / "my.safetensors"), {("arms", "one"): SENT})
    assert path.read_bytes() == CONTENT


def test_a_node_with_the_same_weights_reads_its_own(tmp_path):
    (tmp_path / "my.safetensors").write_bytes(CONTENT)
    mine = settings(tmp_path / "my.safetensors")
    assert with_weights(mine, {("arms", "one"): SENT}) == mine


def test_a_node_with_other_weights_of_that_name_gets_the_driver_s(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "my.safetensors").write_bytes(b"other")
    found = with_weights(settings(tmp_path / "my.safetensors"), {("arms", "one"): SENT})
    assert Path(found["arms"]["one"]["weights"]).read_bytes() == CONTENT


def test_a_node_whose_disk_is_full(tmp_path, monkeypatch):
    (tmp_path / "no_folder").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no_folder"))
    with pytest.raises(WeightsError, match=r"my\.safetensors: cannot be written \(Not a directory"):
        with_weights(settings(tmp_path / "my.safetensors"), {("arms", "one"): SENT})


def test_only_weights_outside_the_project_are_sent(tmp_path, monkeypatch):
    arms = {"shipped": {"kind": "gate_unet", "weights": "gate_unet"}, "ir": {"kind": "ir_only"}}
    checked = config.check(toys.settings(tmp_path, arms=arms))
    assert collect(checked) == {}
    own = checked.arms["shipped"].config.weights_file()
    monkeypatch.setattr(sent_weights, "PROJECT", tmp_path)
    content = own.read_bytes()
    sent = Sent(own.name, hashlib.sha256(content).hexdigest(), content)
    assert collect(checked) == {("arms", "shipped"): sent}


def test_the_weights_of_an_arms_own_detector_are_sent_too(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    arm = {"kind": "ir_only", "detector": {"weights": str(tmp_path / "own.safetensors")}}
    found = with_weights({"arms": {"ir": arm}}, {("arms", "ir", "detector"): SENT})
    assert Path(found["arms"]["ir"]["detector"]["weights"]).read_bytes() == CONTENT
    assert arm["detector"]["weights"] == str(tmp_path / "own.safetensors")
