"""Every decoded frame of both cameras is in exactly one count of `frames`."""

import csv
import itertools
import json
import threading
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.frames import Frame
from pipeline.sources import live
from tests.helpers import toy_recording
from tests.helpers.runs import execute
from tests.helpers.threads import prompt

FRAMES = 30
ARMS = {"ir": {"kind": "ir_only"}, "vis": {"kind": "vis_only"}}
LIMIT = 120  # seconds for all examples of a test
moments = st.lists(st.integers(0, FRAMES - 1), max_size=6, unique=True)
spans = st.tuples(st.integers(0, FRAMES), st.integers(0, FRAMES))
ends = st.none() | st.integers(1, FRAMES)
faults = st.fixed_dictionaries({
    "black": spans, "frozen": spans, "missing": moments, "lost": moments, "small": moments,
    "end": ends, "torn": ends,
})  # fmt: skip
GOOD = toy_recording.Faults().model_dump()


def run(folder, source):
    """Counts, the ledger's rows, and the frames of each camera in the pairs that were processed."""
    given = toy_recording.settings(folder)
    given |= {"source": source, "arms": ARMS, "sinks": {"log": {"kind": "jsonl"}}}
    outcome = execute(given)
    lines = [json.loads(line) for line in (outcome.folder / "log.jsonl").read_text().splitlines()]
    with (outcome.folder / "ledger.csv").open(newline="") as file:
        return outcome.summary.frames, list(csv.DictReader(file)), lines


def assert_adds_up(found, decoded):
    """Each decoded frame, (camera, index), is in one pair or one row, and the counts say so."""
    counts, rows, lines = found
    by_status = {name: [row for row in rows if row["status"] == name] for name in counts}
    for name in ("unpaired", "dropped", "failed", "fallback"):
        assert len(by_status[name]) == counts[name]
        assert all(row["reason"] for row in by_status[name])
    left_out = [row for row in rows if row["status"] != "fallback"]
    assert [len(frames_of(row)) for row in by_status["unpaired"]] == [1] * counts["unpaired"]
    assert [len(frames_of(row)) for row in by_status["dropped"]] == [1] * counts["dropped"]
    processed = [
        (camera, line[f"{camera}_frame"])
        for line in lines
        for camera in ("ir", "vis")
        if line[f"{camera}_frame"] >= 0
    ]
    assert len(lines) == counts["paired"] + counts["fallback"]
    fallen = [frame for row in by_status["fallback"] for frame in frames_of(row)]
    assert set(fallen) <= set(processed)
    assert len(processed) == 2 * counts["paired"] + len(fallen)
    every = Counter(processed) + Counter(frame for row in left_out for frame in frames_of(row))
    assert every == Counter(decoded)


def frames_of(row):
    return [
        (camera, int(row[f"{camera}_frame"])) for camera in ("ir", "vis") if row[f"{camera}_frame"]
    ]


def decoded(source):
    """What the cameras of a toy recording show."""
    checked = toy_recording.Config(**source)
    return [
        (name, item.index)
        for name in ("ir", "vis")
        for item in toy_recording.Camera(name, getattr(checked, name), checked.frames)
        if isinstance(item, Frame)
    ]


@pytest.fixture
def folder(tmp_path):
    """A new folder at each call."""
    numbers = itertools.count()
    return lambda: tmp_path / str(next(numbers))


@pytest.mark.parametrize("camera", ["ir", "vis"])
@pytest.mark.parametrize("fault", [
    {}, {"missing": [0, 4, 5, 29]}, {"lost": [0, 7, 29]}, {"small": [3]}, {"end": 4}, {"torn": 12},
    {"black": (0, FRAMES)}, {"frozen": (0, FRAMES)}, {"black": (3, 9), "lost": [5], "end": 12},
    {"lost": [5, 6], "torn": 6},
])  # fmt: skip
def test_a_faulty_camera_adds_up(folder, camera, fault):
    source = {"frames": FRAMES, camera: fault}
    with prompt():
        found = run(folder(), {"kind": "tests.helpers.toy_recording", **source})
    assert_adds_up(found, decoded(source))


def test_any_two_faulty_cameras_add_up(folder):
    runs = []

    @settings(deadline=None, max_examples=25, derandomize=True)
    @given(faults, faults)
    def adds_up(ir, vis):
        source = {"frames": FRAMES, "ir": ir, "vis": vis}
        # a run in which nothing can be processed ends with an error: one pair always can
        for camera in (ir, vis):
            camera |= {
                name: [m for m in camera[name] if m] for name in ("missing", "lost", "small")
            }
        found = run(folder(), {"kind": "tests.helpers.toy_recording", **source})
        assert_adds_up(found, decoded(source))
        runs.append({name for name, count in found[0].items() if count})

    with prompt(LIMIT):
        adds_up()
    assert set().union(*runs) == {"paired", "unpaired", "failed", "fallback"}


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "block"])
def test_live_cameras_that_are_too_fast_add_up(folder, monkeypatch, policy):
    """Their frames come at once, into buffers of two; one camera stops early."""
    counts = {"ir": 150, "vis": 200}
    given, rng = [], np.random.default_rng(0)

    def open_camera(pixel_format, timeout_s, *, realtime):
        name = "ir" if pixel_format == "gray" else "vis"
        channels = () if name == "ir" else (3,)
        images = iter(
            [rng.integers(0, 256, (16, 24, *channels), np.uint8) for _ in range(counts[name])]
        )

        def opener(address, clock, stop: threading.Event):
            for image in images:
                if stop.is_set():
                    return
                given.append(name)
                yield clock.now(), image

        return opener

    monkeypatch.setattr(live, "open_camera", open_camera)
    source = {
        "kind": "live", "ir": "rtsp://ir", "vis": "rtsp://vis", "reconnect_s": 0, "buffer": 2,
        "policy": policy, "tolerance_ms": 20, "ir_range": [0, 255],
    }  # fmt: skip
    with prompt():
        found = run(folder(), source)
    assert Counter(given) == Counter(counts)
    assert_adds_up_live(found, given)
    assert (found[0]["dropped"] > 0) == (policy != "block")


def assert_adds_up_live(found, given):
    """The frames of a camera are numbered as they come."""
    assert_adds_up(
        found, [(name, i) for name, count in Counter(given).items() for i in range(count)]
    )


@pytest.mark.parametrize("pairs", [1, 7])
def test_frames_beyond_a_limit_of_pairs_add_up(folder, monkeypatch, pairs):
    """What was decoded when the last pair was complete, is dropped and said to be."""
    given = Counter()

    def open_camera(pixel_format, timeout_s, *, realtime):
        name = "ir" if pixel_format == "gray" else "vis"
        shape = (16, 24) if name == "ir" else (16, 24, 3)

        def opener(address, clock, stop):
            begin = clock.now()
            while True:
                image = np.random.default_rng(given[name]).integers(0, 256, shape, np.uint8)
                given[name] += 1
                yield begin + given[name] * 10**7, image
                time.sleep(0.002)

        return opener

    monkeypatch.setattr(live, "open_camera", open_camera)
    source = {
        "kind": "live", "ir": "rtsp://ir", "vis": "rtsp://vis", "reconnect_s": 0, "frames": pairs,
        "policy": "block", "frame_rate": 100, "tolerance_ms": 10_000,
    }  # fmt: skip
    with prompt():
        found = run(folder(), source)
    assert found[0]["paired"] == pairs
    assert found[0]["dropped"] > 0
    # the one that comes when a camera was told to stop is not taken any more
    assert_adds_up_live(found, [name for name in given for _ in range(given[name] - 1)])
