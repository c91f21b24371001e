"""Runs by Ray's actors on this machine. Ray is started once, for all tests of this file."""

import builtins
import socket
import time

import pytest
import ray

from common.errors import ConfigError, DataError
from pipeline.engine import dispatch
from pipeline.engine.engines import _ray_workers
from pipeline.run_folder.shard_folder import done_numbers
from tests.helpers import deadly, toys
from tests.helpers.runs import execute, files, silent

pytestmark = pytest.mark.slow

RAY = {"kind": "ray", "workers": 2}


@pytest.fixture(scope="module")
def cluster():
    """Runs of this process use it."""
    _ray_workers.start(2)
    yield
    ray.shutdown()


def run(folder, root, engine, detector=None, progress=silent, **run):
    compute = {"device": "cpu", "batch": 2, "threads": 1, "engine": {"shard": 2, **engine}}
    settings = toys.settings(root, compute=compute, run={"dir": str(folder), **run})
    return execute({**settings, "detector": detector or settings["detector"]}, progress)


def test_ray_listens_on_this_machine_alone(cluster):
    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {_ray_workers.LOOPBACK}


def test_what_kills_its_worker_is_reported_and_the_resumed_run_has_the_same_bytes(
    cluster, ten, tmp_path, monkeypatch
):
    monkeypatch.setattr(dispatch, "TRIES", 2)  # each takes a new worker, which takes seconds
    detector = {"kind": "tests.helpers.deadly", "folder": str(tmp_path / "deaths")}
    (tmp_path / "deaths").mkdir()
    once, always = (tmp_path / "deaths" / str(deadly.left(pair)) for pair in (2, 7))
    once.write_text("1")
    always.write_text("1000")

    told = r"^pairs 006 to 007: no worker could .* its worker died \(killed, "
    with pytest.raises(DataError, match=told):
        run(tmp_path / "there", ten, RAY, detector)

    assert (once.read_text(), always.read_text()) == ("0", "998")
    assert done_numbers(tmp_path / "there.partial") == [0, 1, 2, 4]
    always.unlink()
    interrupted = []

    def interrupt(done, total):
        interrupted.append(time.monotonic())
        raise KeyboardInterrupt

    one = {**RAY, "workers": 1}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "there", ten, one, detector, progress=interrupt, resume=True)
    assert time.monotonic() - interrupted[0] < 5
    there = run(tmp_path / "there", ten, {}, detector, resume=True)  # a worker takes seconds
    here = run(tmp_path / "here", ten, {})
    a, b = files(here.folder), files(there.folder)
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name] and name != "config.yaml"] == []


def test_more_workers_than_there_is_room_for(cluster, ten, tmp_path):
    with pytest.raises(ConfigError, match=r"workers: 3 of 1 cores each don't fit.* room for 2"):
        run(tmp_path / "there", ten, {**RAY, "workers": 3})
    assert not (tmp_path / "there.partial").exists()


def test_no_room_for_a_worker(cluster, ten, tmp_path):
    with pytest.raises(ConfigError, match="no node has 1 cores and 1 GPUs for a worker"):
        run(tmp_path / "there", ten, {**RAY, "gpus": 1})


def test_why_an_actor_died():
    errors = ray.exceptions
    of_node = errors.ActorDiedError.from_task_error  # what its creation raised
    text = "Traceback:\n  import pipeline\nModuleNotFoundError: No module named 'pipeline'"
    cause = errors.RayTaskError("Worker.__init__", text, ModuleNotFoundError())
    assert (
        _ray_workers.why_died(of_node(cause)) == "ModuleNotFoundError: No module named 'pipeline'"
    )
    assert _ray_workers.why_died(errors.RaySystemError("the disk is full")).endswith("disk is full")
    assert _ray_workers.why_died(errors.ActorDiedError()) == "killed, out of memory or crashed"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "ray://127.0.0.1:10001", "host:port"])
def test_an_address_of_another_form(address):
    with pytest.raises(ConfigError, match=r"engine\.address: must be HOST:PORT"):
        _ray_workers.reach(address)


def test_a_cluster_that_is_not_there():
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ConfigError, match=rf"no cluster can be reached at {address} .*ray start"):
        _ray_workers.reach(address)


def test_ray_that_is_not_installed(ten, tmp_path, monkeypatch):
    found = builtins.__import__

    def missing(name, *rest, **more):
        if name == "ray":
            raise ImportError
        return found(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"ray is not installed; `pip install -e '\.\[cluster\]'"):
        run(tmp_path / "there", ten, RAY)
