"""Every fault in every stage: none hangs, none loses what was finished, none goes unseen."""

import errno
import re
import resource
import signal

import pytest

from common.errors import DataError, IrvisError
from fusion.fusers import maximum
from pipeline.engine import ledger, runner
from pipeline.engine.compute import Compute
from tests.end_to_end.faulty_runs import QUIET, assert_resumes, finished, settings
from tests.helpers import toy_recording, toys
from tests.helpers.runs import execute
from tests.helpers.stand import full_disk
from tests.helpers.toy_sink import FailingSink

pytestmark = pytest.mark.usefixtures("frequent_checkpoints", "guarded")


def fail_at(monkeypatch, owner, name, call, error):
    """Have a function raise at one of its calls, from 0."""
    calls, original = [], getattr(owner, name)

    def failing(*arguments, **named):
        calls.append(None)
        if len(calls) == call + 1:
            raise error
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, failing)


# --- a stage fails ---


@pytest.mark.parametrize("camera", ["ir", "vis"])
def test_a_bug_of_a_decoder_ends_the_run(here, camera):
    with pytest.raises(RuntimeError, match=f"{camera}: the decoder has a bug at 17"):
        execute(settings(here, **{camera: {"bug": 17}}))
    assert finished(here) >= 4  # the frames of half a second may still be out of order


@pytest.mark.parametrize("error", [DataError("a fault"), ValueError("a fault")])
@pytest.mark.parametrize(("owner", "name", "call"), [
    (ledger.Ledger, "paired", 14),  # admission
    (Compute, "upload", 3),
    (Compute, "run", 3),
    (toys.BrightBox, "__call__", 9),  # three arms a batch
])  # fmt: skip
def test_a_stage_that_fails_ends_the_run_and_keeps_what_was_done(
    here, monkeypatch, owner, name, call, error
):
    with monkeypatch.context() as patch:
        fail_at(patch, owner, name, call, error)
        with pytest.raises(type(error), match="a fault") as caught:
            execute(settings(here))
    done = finished(here)
    assert done == 12
    if isinstance(error, IrvisError):
        assert str(caught.value) == f"a fault (what was finished is in {here}/out.partial)"
    else:
        assert str(caught.value) == "a fault"  # a bug: as it is
    assert_resumes(here)


def test_a_fuser_that_fails_late(here, monkeypatch):
    fuser, calls = maximum.build(maximum.Config()), []

    def late(*, ir, vis):
        calls.append(None)
        return fuser(ir=ir, vis=vis) * (float("nan") if len(calls) == 3 else 1)

    with monkeypatch.context() as patch:
        patch.setattr(maximum, "build", lambda config: late)
        with pytest.raises(
            DataError, match=r"NaN or infinite values at pair 000008 .*out\.partial"
        ):
            execute(settings(here))
    assert finished(here) == 8
    assert_resumes(here)


@pytest.mark.parametrize("how", ["full", "bug", "data"])
@pytest.mark.parametrize("at", ["build", "write", "flush", "finish", "exit"])
@pytest.mark.parametrize("place", [0, 2])
def test_a_sink_that_fails_closes_the_others(here, at, how, place):
    """Before and after them in the order of the configuration."""
    bad = {"kind": "tests.helpers.toy_sink", "at": at, "how": how, "pair": 9}
    names = ["results", "log"]
    names.insert(place, "bad")
    sinks = {name: bad if name == "bad" else QUIET[name] for name in names}
    expected = {"full": OSError, "bug": RuntimeError, "data": DataError}[how]
    with pytest.raises(expected) as caught:
        execute(settings(here, sinks=sinks))
    if how == "full":
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/full/disk")
    assert not (here / "out").exists()
    if at in ("build", "flush") and place == 0:  # nothing was finished
        assert (here / "out.partial").exists() == (at == "flush")
        return
    if at != "build":
        assert finished(here) == {"write": 8, "flush": 0, "finish": 20, "exit": 20}[at]
        assert_resumes(here)


def test_the_files_of_a_sink_are_closed_when_the_next_cannot_be_built(here):
    sinks = {
        "first": {"kind": "tests.helpers.toy_sink", "at": "finish"},
        "second": {"kind": "tests.helpers.toy_sink", "at": "build", "how": "data"},
    }
    closed = []
    close = FailingSink.__exit__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FailingSink, "__exit__", lambda s, *e: closed.append(s) or close(s, *e))
        with pytest.raises(DataError, match="the sink"):
            execute(settings(here, sinks=sinks))
    assert len(closed) == 1
    assert not list(here.iterdir())  # nothing was done


@pytest.mark.parametrize("camera", ["ir", "vis"])
def test_on_bad_pair_fail_ends_at_the_first_with_its_reason(here, camera):
    with pytest.raises(DataError, match=f"{camera}: frame 18 is damaged .*out.partial"):
        execute(settings(here, on_bad_pair="fail", **{camera: {"lost": [18]}}))
    assert finished(here) >= 4


# --- the disk is full ---


@pytest.mark.parametrize("name", ["ledger.csv", "progress.log", "timing.json", "config.yaml"])
def test_a_full_disk_under_the_runs_own_files_names_them(here, monkeypatch, name):
    """As /dev/full does it, which takes nothing."""
    opened = runner.Path.open

    def full(path, *arguments, **named):
        if name in path.name:  # the file, or the draft that becomes it
            path.touch()
            return opened(runner.Path("/dev/full"), *arguments, **named)
        return opened(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(runner.Path, "open", full)
        with pytest.raises(DataError, match=f"{name}: cannot be written .No space left on device"):
            execute(settings(here, vis={"missing": [10]}))
    partial = here / "out.partial"
    assert partial.exists() == (name in ("progress.log", "timing.json"))  # else nothing was done
    if partial.exists():
        assert_resumes(here, vis={"missing": [10]})


@pytest.mark.parametrize("size", [300, 3000, 9000, 30_000, 60_000])
def test_a_disk_that_gets_full(here, size):
    """No file can be longer than so many bytes; with every sink, whichever meets it first."""
    every = toy_recording.settings(here)["sinks"]
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with full_disk(size), pytest.raises(DataError) as caught:
            execute(settings(here, sinks=every, frames=40))
    finally:
        signal.signal(signal.SIGXFSZ, old)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    text = str(caught.value)
    assert re.match(rf"{here}/out\.partial/\S+: cannot be ", text)
    assert "\n" not in text
    if (here / "out.partial").exists():
        finished(here)
        resumed = settings(here, sinks=every, frames=40, resume=True)
        assert execute(resumed).summary.frames["paired"] == 40
