"""Runs that are killed at any moment and resumed end as unbroken ones.

The kills come from outside, by SIGKILL, at random moments. What is compared is every byte of every
file but for `timing.json`, which has no other place for what differs, and of videos the decoded
frames and their times.
"""

import shutil
import signal
import time
from itertools import pairwise

import av
import numpy as np
import pytest

from tests.helpers import children, toy_recording
from tests.helpers.threads import prompt, wait_until

KILLED = -signal.SIGKILL
CHECKPOINT = 2  # batches: a run has seven checkpoints
KILLS = 8  # single ones, spread over a run
PAUSE_S = 0.005  # a frame, so that most of a run's time isn't its end
SOURCE = {
    "frames": 60,
    # each fault, before and behind checkpoints
    "ir": {"black": [20, 26], "lost": [40], "missing": [3, 44]},
    "vis": {"frozen": [27, 40], "missing": [9], "end": 45},
}
pytestmark = [pytest.mark.slow, pytest.mark.realtime]


def settings(folder, *, resume=False):
    found = toy_recording.settings(folder, **SOURCE)
    found["run"]["resume"] = resume
    return found


def run(folder, *, resume=False, moment=None):
    """Seconds that a run took, or None where it was killed at a moment; seconds from its start."""
    begun = children.event()
    given = settings(folder, resume=resume)
    with children.child(children.run, given, CHECKPOINT, PAUSE_S, begun) as one:
        assert begun.wait(children.LIMIT)
        start = time.perf_counter()
        if moment is not None:
            one.join(moment)
            one.kill()
        code = children.end_of(one)
        assert code == 0 or (code == KILLED and moment is not None)
        return time.perf_counter() - start if code == 0 else None


def go_on(folder, *, moment=None):
    """Resume a run, as far as there is one to resume; as ``run``."""
    partial = folder.with_name(f"{folder.name}.partial")
    resume = (partial / "config.yaml").exists()
    if not resume and partial.exists():
        shutil.rmtree(partial)  # killed while it was made: nothing is in it
    return run(folder, resume=resume, moment=moment)


def files(folder):
    """Every file's content by name; of a video its frames and their times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".mp4":
            found[name] = film(path)
        elif path.is_file() and name != "timing.json":
            found[name] = path.read_bytes()
    return found


def film(path):
    with av.open(str(path)) as file:
        return [(frame.pts, frame.to_ndarray().tobytes()) for frame in file.decode(video=0)]


def assert_same(ours, theirs):
    assert list(ours) == list(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of an unbroken run, and how long it took."""
    folder = tmp_path_factory.mktemp("whole") / "out"
    run(folder)  # the first one is slower than the others
    shutil.rmtree(folder)
    seconds = run(folder)
    return files(folder), seconds


def test_the_unbroken_run_has_something_to_lose(whole):
    found, _ = whole
    assert set(found) >= {
        "config.yaml", "ledger.csv", "log.jsonl", "predictions/late.json", "results.json",
        "table.parquet", "tracks/fused.txt", "video/film.mp4", "saved/fused/000042.png",
    }  # fmt: skip
    statuses = {line.split(b",")[1] for line in found["ledger.csv"].splitlines()[1:]}
    assert statuses == {b"unpaired", b"failed", b"fallback"}


@pytest.mark.parametrize("seed", range(KILLS))
def test_one_kill(whole, tmp_path, seed):
    expected, seconds = whole
    folder = tmp_path / "out"
    moment = (seed + np.random.default_rng(seed).random()) / KILLS * seconds
    if run(folder, moment=moment) is None:
        assert not folder.exists()
        go_on(folder)
    assert_same(files(folder), expected)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("seed", range(2))
def test_five_kills_one_after_the_other(whole, tmp_path, seed):
    expected, seconds = whole
    folder = tmp_path / "out"
    for moment in np.random.default_rng(seed).random(5) * seconds / 2:
        if go_on(folder, moment=moment) is not None:
            break
    else:
        go_on(folder)
    assert_same(files(folder), expected)


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """How many calls the end of a run has."""
    counted = children.number()
    folder = tmp_path_factory.mktemp("calls") / "out"
    with children.child(children.end, settings(folder), CHECKPOINT, 0, counted) as one:
        assert children.end_of(one) == 0
    return counted.value


@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.8, 0.9, 0.96, 0.99])
def test_a_kill_while_the_run_ends(whole, calls, tmp_path, share):
    """When all pairs are done: while predictions are written, scored, videos joined."""
    expected, _ = whole
    folder = tmp_path / "out"
    at = 1 + round(share * calls)
    with children.child(children.end, settings(folder), CHECKPOINT, at, children.number()) as one:
        assert children.end_of(one) == KILLED
    if (tmp_path / "out.partial").is_dir():  # else the kill came after the folder was complete
        assert run(folder, resume=True) is not None
    assert_same(files(folder), expected)


def finished(partial):
    path = partial / "progress.log"
    return int((path.read_text().split() or [0])[-1]) if path.exists() else 0


def test_what_a_killed_run_finished_is_readable(whole, tmp_path):
    """Of every sink that keeps files: all up to the last checkpoint, and no half pair before it."""
    expected, _ = whole
    folder, partial = tmp_path / "out", tmp_path / "out.partial"
    given, begun = settings(folder), children.event()
    with children.child(children.run, given, CHECKPOINT, 10 * PAUSE_S, begun) as one:
        with prompt(children.LIMIT):
            wait_until(lambda: finished(partial) >= 24)
        one.kill()
        assert children.end_of(one) == KILLED
    done = finished(partial)
    lines = (partial / "log.jsonl").read_bytes().splitlines(keepends=True)
    assert lines[:done] == expected["log.jsonl"].splitlines(keepends=True)[:done]
    for path in sorted((partial / "saved" / "fused").iterdir())[:done]:
        assert path.read_bytes() == expected[f"saved/fused/{path.name}"]
    parts = sorted((partial / "video" / "film.parts").glob("*-*.mp4"))
    frames = [frame for part in parts for frame in film(part)]
    assert len(frames) == done
    assert [pixels for _, pixels in frames] == [
        pixels for _, pixels in expected["video/film.mp4"][:done]
    ]
    spans = [tuple(map(int, part.stem.split("-"))) for part in parts]
    assert all(after[0] == before[1] + 1 for before, after in pairwise(spans))
