"""Runs of toy pairs in this process and by ``workers``, in batches of two and shards of four."""

from tests.helpers import toys
from tests.helpers.runs import execute, files, silent

ENGINE = {"kind": "tests.helpers.workers"}
SINKS = {
    "results": {"kind": "results"},
    "lines": {"kind": "jsonl"},
    "table": {"kind": "parquet"},
    "pictures": {"kind": "images", "arms": ["fused"]},
    "film": {"kind": "video"},
    "tracks": {"kind": "mot"},
}


def run(folder, root, engine=None, progress=silent, **more):
    compute = {"device": "cpu", "batch": 2, "engine": {"shard": 4, **(engine or {})}}
    run = {"dir": str(folder), **more.pop("run", {})}
    return execute({**toys.settings(root, **more), "compute": compute, "run": run}, progress)


def same(one, other):
    """All files but the configuration, which names the engine, and the times are the same."""
    a, b = files(one), files(other)
    assert a.keys() == b.keys()
    assert [name for name in a if a[name] != b[name] and name != "config.yaml"] == []
