"""Runs that are cut into shards, computed by workers in this process that fail and die."""

import shutil
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from common.errors import ConfigError, DataError, DeviceError
from pipeline.config import config
from pipeline.engine import runner
from pipeline.engine.dispatch import Dispatch, Event
from pipeline.engine.engines import ray as ray_engine
from pipeline.run_folder.shard_folder import write_plan
from pipeline.shard import Shard
from tests.helpers import toys, workers
from tests.helpers.runs import read_csv, read_json, silent
from tests.helpers.sharded import ENGINE, SINKS, run, same

pytestmark = pytest.mark.usefixtures("no_script")


def test_every_sink_writes_the_same_bytes(ten, tmp_path):
    here = run(tmp_path / "here", ten, sinks=SINKS)
    there = run(tmp_path / "there", ten, ENGINE, sinks=SINKS)
    same(here.folder, there.folder)
    assert sorted(workers.COMPUTED) == [0, 1, 2]
    assert here.summary == there.summary
    assert there.timing["machine"]["workers"] == 2
    assert there.timing["pairs"] == 10


@given(
    shard=st.integers(1, 11),
    count=st.integers(1, 4),
    script=st.dictionaries(
        st.integers(0, 9),
        st.lists(st.sampled_from(["dies before", "dies after", "fails"]), max_size=2),
    ),
)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_cut_and_any_deaths_give_the_same_bytes(ten, tmp_path_factory, shard, count, script):
    """A shard that is tried three times at most is computed once, and no pair twice."""
    workers.COMPUTED.clear()
    for number, deaths in script.items():
        workers.SCRIPT[number].extend(deaths)
    folder = tmp_path_factory.mktemp("cut")
    here = run(folder / "here", ten, {"shard": shard})
    there = run(folder / "there", ten, {**ENGINE, "shard": shard, "workers": count})
    same(here.folder, there.folder)
    whole = -(-shard // 2) * 2  # batches of two pairs
    assert sorted(workers.COMPUTED) == list(range(-(-10 // whole)))
    workers.SCRIPT.clear()


def test_a_shard_that_no_worker_can_finish_ends_the_run_when_the_others_are_done(ten, tmp_path):
    workers.SCRIPT[1].extend(["dies before", "fails", "fails"])
    with pytest.raises(DataError) as told:
        run(tmp_path / "run", ten, ENGINE)
    assert str(told.value) == (
        "pairs 004 to 007: no worker could finish them: it was told to fail; all other shards are "
        "done: run.resume=true tries this one again, with run.on_bad_shard=skip it is left out "
        f"(finished pairs are in {tmp_path / 'run.partial'})"
    )
    assert sorted(workers.COMPUTED) == [0, 2]
    there = run(tmp_path / "run", ten, ENGINE, run={"resume": True})
    assert sorted(workers.COMPUTED) == [0, 1, 2]  # no shard twice
    same(run(tmp_path / "here", ten).folder, there.folder)


def test_a_shard_can_be_left_out(ten, tmp_path):
    workers.SCRIPT[1].extend(["fails"] * 3)
    outcome = run(tmp_path / "run", ten, ENGINE, run={"on_bad_shard": "skip"})
    results = read_json(outcome.folder / "results.json")
    assert (results["frames"]["paired"], results["frames"]["failed"]) == (6, 4)
    assert results["objects"] == {"scored": 6, "labelled": 10}
    reason = "pairs 004 to 007: no worker could finish them: it was told to fail"
    assert f"left out: {reason}" in results["warnings"]
    rows = read_csv(outcome.folder / "ledger.csv")
    assert [(row["key"], row["status"], row["reason"]) for row in rows] == [
        (f"{number:03d}", "failed", reason) for number in range(4, 8)
    ]
    truth = read_json(outcome.folder / "ground_truth.json")
    keys = [image["key"] for image in truth["images"]]
    assert keys == [f"{number:03d}" for number in (0, 1, 2, 3, 8, 9)]


def test_a_worker_that_dies_while_it_starts_ends_the_run(tmp_path):
    class Dying:
        count = 1

        def start(self, slot):
            pass

        def events(self, timeout_s):
            return [Event(0, "died", "out of memory")]

    write_plan(tmp_path, [Shard()])
    dispatch = Dispatch(tmp_path, [Shard()], Dying())
    dispatch.step(0)
    dispatch.step(0)
    with pytest.raises(DeviceError, match=r"died 3 times while it started: out of memory"):
        dispatch.step(0)


def test_the_run_tells_of_its_workers_and_failures(ten, tmp_path):
    workers.SCRIPT[1].extend(["fails", "dies before"])
    told = []
    compute = {"device": "cpu", "batch": 2, "engine": {**ENGINE, "shard": 4}}
    checked = config.check(toys.settings(ten, compute=compute, run={"dir": str(tmp_path / "run")}))
    folder = runner.run(checked, silent, told.append).folder
    assert told[0] == "1 of 2 workers, failures: 0"  # the other one has not begun
    assert "2 of 2 workers, failures: 1" in told
    assert told[-1] == "1 of 2 workers, failures: 2"  # one died, one is enough for what is left
    assert not (folder / "workers.json").exists()


def test_bad_pairs_and_sizes_keep_their_batches(tmp_path):
    """Batches end at shards in every engine, wherever pairs are left out."""
    root = toys.write_pairs(tmp_path / "pairs", 12)
    for name in ("ir", "vi"):
        (root / name / "001.png").write_bytes(b"")
        image = Image.open(root / name / "006.png")
        image.resize((96, 64)).save(root / name / "006.png")
    (root / "vi" / "010.png").unlink()
    more = {"run": {"on_bad_pair": "skip"}, "sinks": SINKS}
    here = run(tmp_path / "here", root, **more)
    there = run(tmp_path / "there", root, ENGINE, **more)
    same(here.folder, there.folder)
    assert here.summary.frames == {
        "paired": 10, "unpaired": 1, "dropped": 0, "failed": 1, "fallback": 0
    }  # fmt: skip


def test_a_live_source_is_refused(tmp_path):
    task = SimpleNamespace(source=SimpleNamespace(resumable=False))
    engine = ray_engine.build(ray_engine.Config())
    with pytest.raises(ConfigError, match="live cameras are on one machine; use local"):
        engine.open(task)


def test_warnings_that_need_all_images_are_the_same(tmp_path):
    """Infrared in colour, and in one pair the very same picture as visible."""
    root = toys.write_pairs(tmp_path / "pairs", 10, labels=False)
    (root / "vi" / "007.png").write_bytes((root / "vi" / "003.png").read_bytes())
    for number in range(10):
        shutil.copy(root / "vi" / f"{number:03d}.png", root / "ir" / f"{number:03d}.png")
        if number != 7:
            image = Image.open(root / "ir" / f"{number:03d}.png").rotate(180)
            image.save(root / "ir" / f"{number:03d}.png")
        else:  # other bytes of the same picture
            Image.open(root / "vi" / "007.png").save(root / "ir" / "007.png", compress_level=0)
    here = run(tmp_path / "here", root)
    there = run(tmp_path / "there", root, ENGINE)
    same(here.folder, there.folder)
    told = here.results["warnings"]
    assert any("infrared in colour" in text for text in told)
    assert any("the very same picture in 1 of 10 pairs, the first is 007" in text for text in told)


def test_a_generated_drive_is_one_shard_with_the_same_bytes(tmp_path):
    """Frozen and dropped frames too, by which a camera counts as dead."""
    source = {
        "kind": "scenes", "frames": 5, "clip": 5, "size": [96, 128], "dropped": 0.2, "frozen": 0.2,
        "traffic": "sparse",
    }  # fmt: skip
    more = {"source": source, "run": {"on_bad_pair": "skip"}, "sinks": SINKS}
    here = run(tmp_path / "here", None, **more)
    there = run(tmp_path / "there", None, ENGINE, **more)
    same(here.folder, there.folder)
    assert workers.COMPUTED == [0]
    assert here.summary == there.summary
