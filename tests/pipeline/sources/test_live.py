import itertools
import random
import socket
import threading
import time
from collections import Counter
from fractions import Fraction

import av
import numpy as np
import pytest

from common.errors import DataError
from pipeline.frames import BadPair, Dropped, FramePair
from pipeline.sources import live
from pipeline.sources._prefetch import Prefetch
from tests.helpers.scripted_camera import IMAGE, MS, Clock, camera
from tests.helpers.threads import prompt
from tests.helpers.videos import write_video

pytestmark = pytest.mark.realtime

SECRET = "rtsp://admin:s3cret@10.0.0.7/stream"
# no more than the matching waits for a camera, so that it doesn't matter which thread is first
EIGHT = [40 * i for i in range(live.LOOK_AHEAD)]


@pytest.fixture(autouse=True)
def _prompt():
    with prompt(20):
        yield


def build(ir, vis, *, clock=None, **more):
    settings = {"ir": SECRET, "vis": SECRET, "policy": "block", "reconnect_s": 0, **more}
    return live.LivePairs(live.Config(**settings), {"ir": ir, "vis": vis}, clock or Clock())


def kinds(items):
    """Keys by what became of them."""
    found = {"paired": [], "alone": [], "dropped": [], "bad": []}
    for item in items:
        if isinstance(item, Dropped):
            found["dropped"].append((item.modality, item.index))
        elif isinstance(item, BadPair):
            found["bad"].append(item.key)
        else:
            found["alone" if item.problem() else "paired"].append(item.key)
    return found


def frames_of(items):
    """How often each frame came out, by camera and index."""
    found = Counter()
    for item in items:
        if isinstance(item, Dropped):
            found[item.modality, item.index] += 1
        elif isinstance(item, FramePair):
            found.update(
                (name, frame.index)
                for name, frame in (("ir", item.ir), ("vis", item.vis))
                if frame is not None
            )
    return found


def test_pairs_by_arrival():
    with build(camera([0, 40, 80]), camera([10, 50, 90]), tolerance_ms=15) as source:
        items = [item for item in source if isinstance(item, FramePair)]
    assert [(p.key, p.ir.index, p.vis.index) for p in items] == [
        ("000000", 0, 0), ("000001", 1, 1), ("000002", 2, 2),
    ]  # fmt: skip
    assert items[1].ir.timestamp_ns == 40 * MS
    assert source.skew.as_dict()["mean_ms"] == 10


def test_the_offset_makes_up_for_a_camera_that_delivers_late():
    settings = {"tolerance_ms": 5, "offset_ms": -100}
    found = kinds(build(camera([i + 100 for i in EIGHT]), camera(EIGHT), **settings))
    assert found["paired"] == [f"{i:06d}" for i in range(8)]


def test_a_camera_that_stops_leaves_the_other_alone():
    found = kinds(build(camera([0, 40]), camera(EIGHT)))
    assert found["paired"] == ["000000", "000001"]
    assert found["alone"] == [f"{i:06d}" for i in range(2, 8)]
    assert sorted(found["bad"]) == ["ir_end", "vis_end"]


def test_a_camera_that_is_lost_for_a_while_comes_back():
    clock = Clock()
    source = build(camera([0, 40], [240, 280]), camera(EIGHT), clock=clock, reconnect_s=1)
    found = kinds(source)
    assert found["paired"] == ["000000", "000001", "000006", "000007"]
    assert len(found["alone"]) == 4
    assert 0.5 in clock.slept


def test_damaged_frames_are_bad_pairs():
    items = list(build(camera([0, "corrupt", 80]), camera([0, 40, 80])))
    assert kinds(items)["paired"] == ["000000", "000002"]
    assert kinds(items)["alone"] == ["000001"]
    assert {item.key: item.reason for item in items if isinstance(item, BadPair)}["ir_000001"] == (
        "rtsp://***@10.0.0.7/stream: frame 1 is damaged (corrupt)"
    )


def test_the_last_pair_ends_the_run_and_the_rest_is_counted():
    items = list(build(camera(EIGHT), camera(EIGHT), frames=4, buffer=3))
    found = kinds(items)
    assert found["paired"] == ["000000", "000001", "000002", "000003"]
    assert found["dropped"]
    counted = frames_of(items)
    assert set(counted.values()) == {1}
    for name in ("ir", "vis"):
        assert sorted(i for n, i in counted if n == name) == list(
            range(sum(n == name for n, _ in counted))
        )


@pytest.mark.parametrize("policy", ["block", "drop_oldest", "drop_newest"])
def test_every_frame_comes_out_once_whatever_the_threads_do(policy):
    rng = random.Random(0)
    slowly = [
        step for i in range(150) for step in (40 * i, lambda: time.sleep(rng.random() / 2000))
    ]
    source = build(camera(slowly), camera(slowly), policy=policy, buffer=3)
    items = []
    for item in source:
        items.append(item)
        time.sleep(rng.random() / 1000)
    counted = frames_of(items)
    assert set(counted.values()) == {1}
    assert len(counted) == 300
    dropped = [item for item in items if isinstance(item, Dropped)]
    assert (len(dropped) == 0) == (policy == "block")
    assert all(f"source.policy={policy}" in item.reason for item in dropped)


def test_an_error_of_a_thread_is_raised_and_ends_the_other():
    source = build(
        camera([0, RuntimeError("a bug")]), camera(itertools.count()), policy="drop_oldest"
    )
    with pytest.raises(RuntimeError, match="a bug"):
        list(source)


def test_a_camera_that_never_answers_ends_the_run():
    source = build(camera(), camera(itertools.count()), policy="drop_oldest")
    with pytest.raises(DataError, match=r"source\.ir: rtsp://\*\*\*@10.*no connection within 0 s"):
        list(source)


def test_leaving_the_iteration_ends_the_threads():
    source = build(camera(itertools.count()), camera(itertools.count()))
    with source:
        items = iter(source)
        assert isinstance(next(items), FramePair)
    source.close()
    assert sum(1 for _ in items) < 100  # what was held comes out, then it ends


def test_stop_ends_the_wait_for_a_silent_camera():
    silent, waiting = threading.Event(), threading.Event()

    def opener(address, clock, stop):
        yield 0, IMAGE
        waiting.set()
        stop.wait()
        silent.set()

    source = build(opener, opener)
    with Prefetch(source, length=2, name="decode", stop=source.stop) as ahead:
        closer = threading.Thread(target=lambda: (waiting.wait(), ahead.close()))
        closer.start()
        list(ahead)
    closer.join()
    assert silent.is_set()


def test_what_it_says_of_itself():
    source = build(camera(), camera(), frame_rate=29.97, frames=7)
    source.check()
    assert source.frame_rate == Fraction(2997, 100)
    assert source.count == 7
    assert source.keys is None
    assert not source.has_labels
    assert not source.resumable
    assert (
        len(source.labels("000000", IMAGE.shape).xyxy) == len(source.label_classes("000000")) == 0
    )


def test_settings_never_show_a_password():
    config = live.Config(ir=SECRET, vis="/dev/video0")
    assert config.ir == SECRET
    assert "s3cret" not in repr(config)
    assert config.model_dump(mode="json", exclude_unset=True) == {
        "ir": "rtsp://***@10.0.0.7/stream",
        "vis": "/dev/video0",
    }


def test_files_are_played_in_real_time_or_not_at_all(here):
    times = [i * 40 for i in range(8)]
    files = {name: str(write_video(here / f"{name}.mkv", times, 25)) for name in ("ir", "vis")}
    with pytest.raises(DataError, match=r"source\.ir: .*ir\.mkv is a recording; use kind video"):
        live.build(live.Config(**files))
    start = time.monotonic()
    with live.build(live.Config(**files, realtime=True, tolerance_ms=1000)) as source:
        items = list(source)
    assert time.monotonic() - start >= 0.28
    assert set(frames_of(items).values()) == {1}
    assert len(frames_of(items)) == 16
    shown = [item for item in items if isinstance(item, FramePair) and item.problem() is None]
    assert shown[0].ir.image.shape == (48, 64)
    assert shown[0].vis.image.shape == (48, 64, 3)


def serve(path, connections):
    """A camera on this machine: sends a file to each of so many connections, one by one."""
    server = socket.create_server(("127.0.0.1", 0))

    def run():
        with server:
            for _ in range(connections):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(path.read_bytes())

    thread = threading.Thread(target=run)
    thread.start()
    return f"tcp://127.0.0.1:{server.getsockname()[1]}", thread


def test_a_stream_over_tcp_that_breaks_off_and_comes_back(here):
    path = here / "a.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for i in range(100):
            image = np.full((48, 64, 3), 2 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    (ir, one), (vis, other) = serve(path, 2), serve(path, 2)
    settings = {"policy": "block", "reconnect_s": 1.4, "timeout_s": 5, "tolerance_ms": 5000}
    with live.build(live.Config(ir=ir, vis=vis, **settings)) as source:
        items = list(source)
    one.join()
    other.join()
    counted = frames_of(items)
    assert set(counted.values()) == {1}
    for camera_name in ("ir", "vis"):
        seen = sorted(index for name, index in counted if name == camera_name)
        assert seen == list(range(len(seen)))
        assert 20 < len(seen) <= 200  # those that FFmpeg analyses while it connects don't come
    levels = [item.ir.image.mean() for item in items if isinstance(item, FramePair) and item.ir]
    assert sum(level > 194 for level in levels) == 2  # both connections gave the last frame
    ends = [item.reason for item in items if isinstance(item, BadPair)]
    assert len(ends) == 2
    assert all("no connection within 1.4 s (Connection refused)" in reason for reason in ends)
