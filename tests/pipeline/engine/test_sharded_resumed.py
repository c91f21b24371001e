"""Runs of shards that were interrupted and go on."""

import pytest

from common.errors import ConfigError, DataError
from pipeline.run_folder.state import done_pairs
from tests.helpers import toys, workers
from tests.helpers.sharded import ENGINE, SINKS, run, same

pytestmark = pytest.mark.usefixtures("no_script")


@pytest.mark.usefixtures("frequent_checkpoints")
@pytest.mark.parametrize("policy", ["skip", "fail"])
def test_a_shard_that_was_left_out_stays_so_when_the_run_is_resumed(ten, tmp_path, policy):
    """The sinks have pairs after it: computed then, its own would come between them."""
    small = {**ENGINE, "shard": 2}
    workers.SCRIPT[1].extend(["fails"] * 3)
    whole = run(tmp_path / "whole", ten, small, run={"on_bad_shard": "skip"})
    workers.SCRIPT[1].extend(["fails"] * 3)

    def stop(done, total):
        if done_pairs(tmp_path / "run.partial") >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", ten, small, stop, run={"on_bad_shard": "skip"})
    workers.COMPUTED.clear()
    resumed = run(tmp_path / "run", ten, small, run={"on_bad_shard": policy, "resume": True})
    assert 1 not in workers.COMPUTED
    same(whole.folder, resumed.folder)


def test_a_sink_of_images_that_joins_a_resumed_run(ten, tmp_path):
    """Shards that were done for other sinks have none and are computed again."""

    def stop(done, total):
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "there", ten, ENGINE, stop)
    assert done_pairs(tmp_path / "there.partial") == 0  # else it would be refused
    before, sinks = len(workers.COMPUTED), {name: SINKS[name] for name in ("results", "pictures")}
    there = run(tmp_path / "there", ten, ENGINE, sinks=sinks, run={"resume": True})
    assert (before >= 1, len(workers.COMPUTED) - before) == (True, 3)
    same(run(tmp_path / "here", ten, sinks=sinks).folder, there.folder)


@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_resumed_run_whose_images_are_used_up(ten, tmp_path):
    """Written by all sinks, removed, and needed again, since the note of it was lost."""

    def stop(done, total):
        if done_pairs(tmp_path / "run.partial") >= 6:
            raise KeyboardInterrupt

    sinks = {"results": {"kind": "results"}, "pictures": {"kind": "images"}}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", ten, ENGINE, stop, sinks=sinks)
    (tmp_path / "run.partial" / "progress.log").unlink()
    there = run(tmp_path / "run", ten, ENGINE, sinks=sinks, run={"resume": True})
    same(run(tmp_path / "here", ten, sinks=sinks).folder, there.folder)


def test_a_damaged_shard_of_an_interrupted_run_is_computed_again(ten, tmp_path):
    workers.SCRIPT[2].extend(["fails"] * 3)
    with pytest.raises(DataError):
        run(tmp_path / "run", ten, ENGINE)
    log = tmp_path / "run.partial" / "shards" / "000001" / "results.arrow"
    log.write_bytes(log.read_bytes()[:-9])
    there = run(tmp_path / "run", ten, ENGINE, run={"resume": True})
    assert sorted(workers.COMPUTED) == [0, 1, 1, 2]
    assert there.timing["machine"]["workers"] == 2
    same(run(tmp_path / "here", ten).folder, there.folder)


@pytest.mark.parametrize("first", [{}, ENGINE])
@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_run_goes_on_with_another_engine(ten, tmp_path, first):
    """The films too, whose parts end at checkpoints."""

    def stop(done, total):
        if done >= 6:
            raise KeyboardInterrupt

    sinks = {**SINKS, "tracks": None}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", ten, first, sinks=sinks, progress=stop)
    last = {} if first else ENGINE
    there = run(tmp_path / "run", ten, last, sinks=sinks, run={"resume": True})
    same(run(tmp_path / "here", ten, sinks=sinks).folder, there.folder)


def test_another_source_than_before(ten, tmp_path):
    workers.SCRIPT[1].extend(["fails"] * 3)
    root = toys.write_pairs(tmp_path / "pairs", 10)
    with pytest.raises(DataError):
        run(tmp_path / "run", root, ENGINE)
    for name in ("ir", "vi"):
        (root / name / "000.png").rename(root / name / "000a.png")
    with pytest.raises(ConfigError, match="source has changed since the run began"):
        run(tmp_path / "run", root, ENGINE, run={"resume": True})


def test_two_drivers_in_one_folder(ten, tmp_path):
    told = []

    def another(done, total):
        if not told:
            with pytest.raises(ConfigError, match="is still going on") as error:
                run(tmp_path / "run", ten, ENGINE, run={"resume": True})
            told.append(error)

    run(tmp_path / "run", ten, ENGINE, progress=another)
    assert told
