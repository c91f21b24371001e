import numpy as np
import pytest

from pipeline.engine.health import FROZEN, Health, is_flat
from pipeline.frames import Frame, FramePair

RNG = np.random.default_rng(0)
SECOND = 10**9


def alive(index, *, channels=()):
    image = RNG.integers(0, 256, (12, 16, *channels), np.uint8)
    return Frame(image, index * SECOND // 10, index)


def pairs(count, change=lambda camera, index, frame: frame):
    """Ten pairs a second, each camera's frames changed as told."""
    for index in range(count):
        ir, vis = alive(index), alive(index, channels=(3,))
        yield FramePair(f"{index:06d}", change("ir", index, ir), change("vis", index, vis))


def found(changed):
    health = Health()
    return [health(pair) for pair in changed]


def test_two_cameras_that_see_are_well():
    assert found(pairs(30)) == [None] * 30


@pytest.mark.parametrize(("camera", "name"), [("ir", "infrared"), ("vis", "visible")])
def test_a_camera_that_goes_black_is_dead_at_once_and_well_again(camera, name):
    def cover(which, index, frame):
        if which == camera and 3 <= index < 5:
            return Frame(np.full_like(frame.image, 16), frame.timestamp_ns, index)
        return frame

    dead = found(pairs(8, cover))
    assert [verdict is not None for verdict in dead] == [False] * 3 + [True] * 2 + [False] * 3
    assert dead[3] == (camera, f"pair 000003: the {name} camera shows one level all over")


def test_a_frozen_camera_is_dead_after_some_equal_pictures():
    still = alive(0)

    def freeze(which, index, frame):
        frozen = which == "ir" and 2 <= index < 14
        return Frame(still.image, frame.timestamp_ns, index) if frozen else frame

    dead = [verdict is not None for verdict in found(pairs(16, freeze))]
    assert dead.index(True) == 2 + FROZEN - 1
    assert sum(dead) == 12 - (FROZEN - 1)
    assert not any(dead[14:])


def test_a_camera_that_stops_is_dead_after_a_second():
    def stop(which, index, frame):
        return None if which == "vis" and index >= 5 else frame

    dead = found(pairs(20, stop))
    # the last visible frame is of 0.4 s: that of 1.4 s is one second later, that of 1.5 s is more
    assert [index for index, verdict in enumerate(dead) if verdict] == list(range(15, 20))
    assert dead[15] == ("vis", "pair 000015: the visible camera has given no frame for 1.1 s")


def test_a_camera_that_never_begins_is_dead_after_a_second():
    dead = found(pairs(14, lambda which, index, frame: None if which == "ir" else frame))
    assert [index for index, verdict in enumerate(dead) if verdict] == [11, 12, 13]


def test_frames_that_are_lost_now_and_then_are_no_dead_camera():
    def lose(which, index, frame):
        return None if which == "ir" and index % 3 else frame

    assert found(pairs(30, lose)) == [None] * 30


def test_nothing_survives_where_both_are_dead():
    def cover(which, index, frame):
        return Frame(np.zeros_like(frame.image), frame.timestamp_ns, index)

    assert found(pairs(3, cover)) == [None] * 3


def test_stills_have_no_times_to_stop_by():
    still = Frame(alive(0).image, None, 0)
    health = Health()
    assert [health(FramePair(str(i), still, None)) for i in range(5)] == [None] * 5


@pytest.mark.parametrize(("dtype", "span", "flat"), [
    (np.uint8, 3, True), (np.uint8, 4, False), (np.uint16, 4 * 257 - 1, True),
    (np.uint16, 4 * 257, False),
])  # fmt: skip
def test_a_flat_image_has_hardly_more_than_one_level(dtype, span, flat):
    image = np.full((8, 8), 100, dtype)
    image[4, 4] += span
    assert is_flat(image) is flat
