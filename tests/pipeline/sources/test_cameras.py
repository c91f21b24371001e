import logging
import threading

import numpy as np
import pytest

from common.errors import DataError, mask
from pipeline.sources._cameras import Camera, Reading
from tests.helpers.scripted_camera import MS, Clock, camera
from tests.helpers.threads import wait_until

pytestmark = [pytest.mark.realtime, pytest.mark.usefixtures("prompt")]

SECRET = "rtsp://admin:s3cret@10.0.0.7/stream?token=s3cret"
TEN = [40 * i for i in range(10)]


def build(
    opener, *, policy="block", length=100, reconnect_s=0.0, duration_s=None, clock=None, **more
):
    settings = {"convert": None, "ends": False, **more}
    return Camera(
        "ir",
        SECRET,
        Reading(policy, length, reconnect_s, duration_s),
        opener=opener,
        changed=threading.Condition(),
        clock=clock or Clock(),
        **settings,
    )


def finished(opener, **more):
    """The buffer of a camera that ran to its end while nobody took anything."""
    one = build(opener, **more)
    one.start(0)
    one.join()
    assert one.buffer.ended
    return one.buffer


def indices(buffer):
    return [frame.index for frame in buffer.frames]


def test_frames_have_their_arrival_since_the_start():
    one = build(camera([110, 150]))
    one.start(100 * MS)
    one.join()
    found = [(frame.index, frame.timestamp_ns) for frame in one.buffer.frames]
    assert found == [(0, 10 * MS), (1, 50 * MS)]


def test_drop_oldest_keeps_the_newest_frames():
    buffer = finished(camera(TEN), policy="drop_oldest", length=3)
    assert indices(buffer) == [7, 8, 9]
    assert list(buffer.dropped) == [0, 1, 2, 3, 4, 5, 6]


def test_drop_newest_keeps_the_oldest_frames():
    buffer = finished(camera(TEN), policy="drop_newest", length=3)
    assert indices(buffer) == [0, 1, 2]
    assert list(buffer.dropped) == [3, 4, 5, 6, 7, 8, 9]


def test_block_waits_for_room():
    arrived = []
    script = [step for i in range(5) for step in (40 * i, lambda i=i: arrived.append(i))]
    one = build(camera(script), policy="block", length=2)
    one.start(0)
    taken = []
    while len(taken) < 5:
        wait_until(lambda: one.buffer.frames)
        assert len(arrived) <= len(taken) + 2
        with one.buffer.changed:
            taken.append(one.buffer.frames.popleft().index)
            one.buffer.changed.notify_all()
    one.join()
    assert taken == [0, 1, 2, 3, 4]
    assert not one.buffer.dropped


def test_stop_ends_a_thread_that_waits_for_room():
    one = build(camera(TEN), policy="block", length=1)
    one.start(0)
    wait_until(lambda: one._index == 2)
    one.stop()
    one.join()
    assert indices(one.buffer) == [0]
    assert list(one.buffer.dropped) == [1]


def test_damaged_frames_keep_their_number():
    buffer = finished(camera([0, "corrupt", 80]))
    assert indices(buffer) == [0, 2]
    assert buffer.lost[0].index == 1
    assert buffer.lost[0].reason == "rtsp://***@10.0.0.7/stream?***: frame 1 is damaged (corrupt)"


def test_connects_again_with_growing_delays_until_it_gives_up(caplog):
    clock = Clock()
    buffer = finished(camera([0, 40]), reconnect_s=30, clock=clock)
    assert clock.slept == [0.5, 1, 2, 4, 8, 8]  # one more would be over 30 s
    assert indices(buffer) == [0, 1]
    (lost,) = buffer.lost
    assert lost.index is None
    assert lost.reason == (
        "rtsp://***@10.0.0.7/stream?***: stopped, no connection within 30 s (Connection refused)"
    )
    assert buffer.error is None
    messages = [record.message for record in caplog.records]
    assert messages[0].endswith("the stream ended; connecting again in 0.5 s")
    assert messages[1].endswith("Connection refused; connecting again in 1.0 s")
    assert "s3cret" not in caplog.text


def test_after_a_connection_delays_and_the_limit_begin_anew():
    clock = Clock()
    refused = [OSError(5, "Input/output error")]

    def later():
        clock.time += 1_000 * MS

    opener = camera([0], refused, refused, [later, 3_000, 3_040], refused, [8_000])
    buffer = finished(opener, reconnect_s=5, clock=clock)
    assert indices(buffer) == [0, 1, 2, 3]
    assert clock.slept[:5] == [0.5, 1, 2, 0.5, 1]
    assert len(buffer.lost) == 1


def test_a_camera_that_never_answered_is_an_error_without_its_password(caplog):
    caplog.set_level(logging.DEBUG)
    buffer = finished(camera(), reconnect_s=3)
    assert isinstance(buffer.error, DataError)
    assert str(buffer.error) == (
        "source.ir: rtsp://***@10.0.0.7/stream?***: no connection within 3 s (Connection refused); "
        "check the address, or that no other program uses the camera"
    )
    assert buffer.error.__cause__ is None
    assert buffer.error.__context__ is None
    assert "s3cret" not in caplog.text


def test_a_file_ends_without_connecting_again():
    clock = Clock()
    buffer = finished(camera(TEN), ends=True, reconnect_s=30, clock=clock)
    assert indices(buffer) == list(range(10))
    assert clock.slept == []
    assert not buffer.lost


def test_no_frame_is_taken_after_the_duration():
    assert indices(finished(camera(TEN), duration_s=0.2)) == [0, 1, 2, 3, 4]
    clock = Clock()
    buffer = finished(camera(), duration_s=5, reconnect_s=60, clock=clock)
    assert clock.slept == [0.5, 1, 2, 4]
    assert buffer.error is None


def test_every_image_goes_through_convert_in_order_dropped_ones_too():
    seen = []

    def convert(image):
        seen.append(len(seen))
        return image + np.uint8(len(seen))

    buffer = finished(camera(TEN), policy="drop_newest", length=2, convert=convert)
    assert [frame.image[0, 0] for frame in buffer.frames] == [1, 2]
    assert len(seen) == 10


def test_an_unexpected_error_is_the_consumers():
    buffer = finished(camera([0, RuntimeError("a bug")]))
    assert isinstance(buffer.error, RuntimeError)
    assert indices(buffer) == [0]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://10.0.0.7/stream", "rtsp://10.0.0.7/stream"),
        ("rtsp://admin:s3cret@10.0.0.7:554/x", "rtsp://***@10.0.0.7:554/x"),
        ("rtsp://admin:s3@cr/et@10.0.0.7/x", "rtsp://***@10.0.0.7/x"),
        ("http://cam/video?user=a&password=b", "http://cam/video?***"),
        ("/dev/video0", "/dev/video0"),
        ("cannot open rtsp://a:b@cam/x: refused", "cannot open rtsp://***@cam/x: refused"),
    ],
)
def test_mask(address, shown):
    assert mask(address) == shown
