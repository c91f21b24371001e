"""Whole runs on live cameras: files that are played in real time."""

import json
import os
import signal
import time

import av
import pytest

from common.errors import ConfigError
from pipeline.sources._cameras import Clock
from tests.helpers import toys
from tests.helpers.runs import execute
from tests.helpers.videos import write_video

pytestmark = pytest.mark.realtime

HALF_AN_HOUR = 1800 * 10**9  # that the machine has been running for


@pytest.fixture
def settings(here, monkeypatch):
    """A configuration with two cameras of eight frames each, at 25 a second."""
    begin = time.monotonic_ns()
    monkeypatch.setattr(Clock, "now", lambda _: HALF_AN_HOUR + time.monotonic_ns() - begin)
    files = {}
    for name in ("ir", "vis"):
        files[name] = str(here / f"{name}.mkv")
        write_video(files[name], [i * 40 for i in range(8)], 25)
    source = {"kind": "live", "realtime": True, "tolerance_ms": 30_000, "offset_ms": -5, **files}
    sinks = {
        "results": {"kind": "results"}, "film": {"kind": "video"}, "log": {"kind": "jsonl"},
    }  # fmt: skip
    return toys.settings("", source=source, sinks=sinks)


def test_times_count_from_the_start_and_every_frame_is_counted(settings):
    outcome = execute(settings)
    frames = outcome.results["frames"]
    each = 2 * (frames["paired"] + frames["failed"] + frames["fallback"])
    assert each + frames["unpaired"] + frames["dropped"] == 16
    lines = (outcome.folder / "log.jsonl").read_text().splitlines()
    times = [json.loads(line)["time_ns"] for line in lines]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < outcome.timing["wall_s"] * 1e9
    with av.open(str(outcome.folder / "video" / "film.mp4")) as film:
        first = next(film.decode(video=0))
    assert first.time == pytest.approx(times[0] / 1e9, abs=1e-4)  # a tick of its clock


def test_sync_has_the_offset_that_was_given(settings):
    outcome = execute(settings)
    sync = outcome.results["sync"]
    assert (sync["offset_ms"], sync["drift_ppm"]) == (-5, 0)
    assert sync["skew"]["pairs"] == outcome.results["frames"]["paired"] > 0


def test_a_live_run_cannot_be_resumed(settings):
    settings["run"] = {"name": "toy", "resume": True}
    with pytest.raises(ConfigError, match="what live cameras showed is gone"):
        execute(settings)


def test_ctrl_c_is_the_end_of_a_live_run(settings, here):
    for name in ("ir", "vis"):
        write_video(str(here / f"{name}.mkv"), [i * 40 for i in range(250)], 25)  # ten seconds

    def on_progress(done, total):
        if done <= settings["compute"]["batch"]:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    outcome = execute(settings, on_progress)
    assert 0 < outcome.results["frames"]["paired"] < 200
    assert (outcome.folder / "video" / "film.mp4").is_file()
    assert signal.getsignal(signal.SIGINT) is handler
