"""Runs that break off, and go on."""

import json
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.files import write_text
from tests.helpers import toys
from tests.helpers.runs import execute, files, read_json


def stop_after(batches):
    calls = []

    def on_progress(done, total):
        calls.append(done)
        if len(calls) == batches:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.usefixtures("frequent_checkpoints")
@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_ends_as_an_unbroken_one(pairs, here, batch, stop):
    settings = toys.settings(pairs, compute={"batch": batch})
    settings["sinks"]["saved"] = {"kind": "images"}
    whole = execute({**settings, "run": {"name": "whole"}})
    with pytest.raises(KeyboardInterrupt):
        execute(settings, stop_after(stop))
    partial = here / "runs" / "toy.partial"
    assert (partial / "frames.jsonl").read_text().count("\n") == min(6, batch * stop)
    with (partial / "frames.jsonl").open("a") as file:
        file.write('{"half a line')  # as a kill in the middle of a write leaves it
    with (partial / "progress.log").open("a") as file:
        file.write("9")
    resumed = execute({**settings, "run": {"name": "toy", "resume": True}})
    assert not partial.exists()
    ours, theirs = files(resumed.folder), files(whole.folder)
    ours.pop("config.yaml"), theirs.pop("config.yaml")  # they differ in the run's name
    assert ours == theirs


@pytest.mark.usefixtures("frequent_checkpoints")
def test_what_a_kill_left_half_written_is_gone_after_a_resume(pairs, here, monkeypatch):
    """A file is written beside its place and then renamed: the kill comes in between."""
    whole = execute(toys.settings(pairs, run={"name": "whole"}))
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    partial = here / "runs" / "toy.partial"
    (partial / "predictions").mkdir(exist_ok=True)
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda self, target: self)
        killed.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        for name in ("said.json", "results.json", "predictions/ir.json"):
            write_text(partial / name, "half")
    left = [path.name for path in partial.rglob("*.draft")]
    assert [name.split(".")[1] for name in sorted(left)] == ["ir", "results", "said"]
    resumed = execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
    assert files(resumed.folder).keys() == files(whole.folder).keys()


@pytest.mark.usefixtures("frequent_checkpoints")
def test_resume_refuses_another_configuration(pairs):
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    other = toys.settings(pairs, run={"name": "toy", "resume": True})
    other["arms"]["fused"] = {"kind": "average"}
    with pytest.raises(ConfigError, match=r"another arms\.fused\.kind"):
        execute(other)
    with pytest.raises(ConfigError, match="no unfinished run"):
        execute(toys.settings(pairs, run={"name": "else", "resume": True}))


@pytest.mark.usefixtures("frequent_checkpoints")
def test_resume_after_a_kill_before_the_first_batch_was_recorded(pairs, here):
    whole = execute(toys.settings(pairs, run={"name": "whole"}))
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    partial = here / "runs" / "toy.partial"
    (partial / "progress.log").unlink()
    resumed = execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
    assert resumed.results == whole.results


@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_run_that_still_works_cannot_be_resumed(pairs, here):
    from pipeline.run_folder import folder as run_folder

    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    lock = run_folder.lock_folder(here / "runs" / "toy.partial")
    with pytest.raises(ConfigError, match="still going on"):
        execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
    lock.release()


@pytest.mark.usefixtures("frequent_checkpoints")
def test_results_cannot_join_a_run_that_is_resumed(pairs):
    """The pairs that were done before would be missing from its numbers."""
    settings = toys.settings(pairs, sinks={"saved": {"kind": "images"}})
    with pytest.raises(KeyboardInterrupt):
        execute(settings, stop_after(1))
    settings["sinks"]["results"] = {"kind": "results"}
    settings["run"] = {"name": "toy", "resume": True}
    with pytest.raises(ConfigError, match=r"sinks\.results: has not received the first 4 pairs"):
        execute(settings)


@pytest.mark.usefixtures("frequent_checkpoints")
def test_a_sink_can_be_left_out_when_a_run_is_resumed(pairs):
    settings = toys.settings(pairs)
    settings["sinks"]["film"] = {"kind": "video"}
    with pytest.raises(KeyboardInterrupt):
        execute(settings, stop_after(1))
    settings["run"] = {"name": "toy", "resume": True}
    settings["sinks"]["film"] = None
    assert execute(settings).summary.frames["paired"] == 6


@pytest.mark.parametrize(
    ("sink", "key"),
    [
        ({"kind": "images", "arms": ["ir"]}, r"sinks\.saved\.arms"),
        ({"kind": "images"}, r"sinks\.saved\.arms"),
        ({"kind": "video", "arms": ["fused"]}, r"sinks\.saved\.kind"),
    ],
)
def test_a_sink_cannot_be_changed_when_a_run_is_resumed(pairs, here, sink, key):
    """Half of its files would be of one setting and half of another."""
    sinks = {"results": {"kind": "results"}, "saved": {"kind": "images", "arms": ["fused"]}}
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs, sinks=sinks), stop_after(1))
    before = files(here / "runs" / "toy.partial")
    resumed = {"run": {"name": "toy", "resume": True}}
    with pytest.raises(ConfigError, match=rf"was begun with another {key};"):
        execute(toys.settings(pairs, sinks={**sinks, "saved": sink}, **resumed))
    assert files(here / "runs" / "toy.partial") == before
    turned = dict(reversed(sinks.items()))  # their order is no setting
    outcome = execute(toys.settings(pairs, sinks=turned, **resumed))
    assert len(list((outcome.folder / "saved" / "fused").iterdir())) == 6


def test_a_run_that_is_stopped_before_its_first_checkpoint_keeps_what_it_has(pairs, here):
    whole = execute(toys.settings(pairs, run={"name": "whole"}))
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    assert (here / "runs" / "toy.partial" / "frames.jsonl").read_text().count("\n") == 4
    resumed = execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
    assert resumed.results == whole.results


def test_a_resume_refuses_files_that_were_changed(pairs, here):
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    note = here / "runs" / "toy.partial" / "inputs.json"
    known = read_json(note)
    assert set(known) == {"arms", "detector"}
    note.write_text(json.dumps({**known, "detector": "another"}))
    with pytest.raises(ConfigError, match=r"run\.resume: the file of detector has changed"):
        execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
