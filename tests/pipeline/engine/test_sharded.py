"""Runs that are cut into shards, computed by workers in this process that fail and die."""

import pytest

from tests.helpers import toys, workers
from tests.helpers.runs import execute, files

ENGINE = {"kind": "tests.helpers.workers"}


@pytest.fixture(autouse=True)
def no_script():
    workers.SCRIPT.clear()
    workers.COMPUTED.clear()


def run(folder, root, engine=None, **more):
    compute = {"device": "cpu", "batch": 2, "engine": {"shard": 4, **(engine or {})}}
    run = {"dir": str(folder), **more.pop("run", {})}
    return execute({**toys.settings(root, **more), "compute": compute, "run": run})


def same(one, other):
    """All files but the configuration, which names the engine, and the times are the same."""
    a, b = files(one), files(other)
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name] and name != "config.yaml"] == []


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    return toys.write_pairs(tmp_path_factory.mktemp("ten") / "pairs", 10)


SINKS = {
    "results": {"kind": "results"},
    "lines": {"kind": "jsonl"},
    "table": {"kind": "parquet"},
    "pictures": {"kind": "images", "arms": ["fused"]},
    "film": {"kind": "video"},
    "tracks": {"kind": "mot"},
}


def test_every_sink_writes_the_same_bytes(ten, tmp_path):
    here = run(tmp_path / "here", ten, sinks=SINKS)
    there = run(tmp_path / "there", ten, ENGINE, sinks=SINKS)
    same(here.folder, there.folder)
    assert sorted(workers.COMPUTED) == [0, 1, 2]
    assert here.summary == there.summary
    assert there.timing["machine"]["workers"] == 2
    assert there.timing["pairs"] == 10
