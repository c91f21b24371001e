"""When a pair is decided, and how much of the streams is held for it."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.frames import Frame
from pipeline.sync.pairing import LOOK_AHEAD, REORDER, Matcher, pair_by_time
from tests.pipeline.sync.streams import (
    IMAGE,
    TIMES,
    assert_a_matching,
    oracle,
    pair,
    score,
    stream,
    times,
)


def counted(frames, counts, name):
    for frame in frames:
        counts[name] += 1
        yield frame


def test_streams_are_read_no_further_than_needed():
    counts = {"ir": 0, "vis": 0}
    ir = counted(stream(range(0, 10_000, 10)), counts, "ir")
    vis = counted(stream(range(5000, 15_000, 10)), counts, "vis")
    matches = pair_by_time(ir, vis, Matcher(2, reorder=0))
    for number in range(400):
        assert times(*next(matches)) == (10 * number, None)
    assert counts["ir"] <= 402
    assert counts["vis"] == 1


def test_a_frame_comes_out_as_soon_as_it_is_decided():
    counts = {"ir": 0, "vis": 0}
    ir = counted(stream(range(0, 1000, 10)), counts, "ir")
    vis = counted(stream(range(1, 1000, 10)), counts, "vis")
    matches = pair_by_time(ir, vis, Matcher(5, reorder=0))
    for number in range(1, 50):
        assert next(matches)[0].index == number - 1
        assert counts["ir"] <= number + 1
        assert counts["vis"] <= number + 1
    matches = pair_by_time(
        counted(stream(range(0, 1000, 10)), counts, "ir"), stream(range(1000)), Matcher(5)
    )
    counts["ir"] = 0
    next(matches)
    assert counts["ir"] <= REORDER + 3


def test_wide_tolerances_are_decided_long_before_the_look_ahead_is_full():
    generator = random.Random(1)
    ir, vis = ([k * 100 + generator.randint(-20, 20) + off for k in range(300)] for off in (0, 10))
    matcher, found, most = Matcher(250, reorder=0), [], 0
    for number, (a, b) in enumerate(zip(stream(ir), stream(vis), strict=True), 1):
        found += matcher.push("ir", a) + matcher.push("vis", b)
        most = max(most, number - len(found))
    assert most <= 8
    found += matcher.end("ir") + matcher.end("vis")
    assert score([times(*match) for match in found]) == oracle(ir, vis, 250)


def test_a_group_larger_than_the_look_ahead():
    # Two ways to match that stay even: with the neighbour before, or with the one behind.
    ir, vis = list(range(0, 4000, 20)), list(range(-10, 4000, 20))
    found = pair(ir, vis, 10, look_ahead=16)
    assert_a_matching(found, ir, vis, 10)
    assert score(found)[0] == 200


def test_a_stopped_camera_is_not_waited_for():
    matcher = Matcher(5, look_ahead=16)
    found = matcher.push("ir", Frame(IMAGE, 0, 0)) + matcher.push("vis", Frame(IMAGE, 0, 0))
    for number, frame in enumerate(stream(range(0, 5000, 10))):
        if number:
            found += matcher.push("vis", frame)
        assert number - len(found) <= 16 + REORDER + 1
    # It wakes up: what is older than the time reached comes out alone, the next pairs again.
    late = [(a and a.index, b) for k in range(1, 12)
            for a, b in matcher.push("ir", Frame(IMAGE, 10 * k, k))]  # fmt: skip
    assert all(a is None or b is None for a, b in late)
    found += late
    for frame in stream(range(5000, 9000, 10)):
        for side in ("ir", "vis"):
            found += matcher.push(side, Frame(IMAGE, frame.timestamp_ns, 1000 + frame.index))
    found += matcher.end("ir") + matcher.end("vis")
    assert sum(a is not None for a, _ in found) == 412
    assert sum(b is not None for _, b in found) == 900
    again = [(a, b) for a, b in found if a and b and b.index >= 1000]
    assert len(again) >= 399


def test_an_ended_stream_lets_the_other_flow():
    matcher = Matcher(5, reorder=0)
    assert [*matcher.push("ir", Frame(IMAGE, 0, 0)), *matcher.end("ir")] == []
    found = []
    for number, frame in enumerate(stream(range(0, 1000, 10)), 1):
        found += matcher.push("vis", frame)
        assert len(found) >= number - 1
    assert times(*found[0]) == (0, 0)
    assert all(a is None for a, _ in found[1:])


@settings(max_examples=60)
@given(TIMES, TIMES, st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_order_of_arrival_of_the_streams_changes_nothing(ir, vis, tolerance, generator):
    waiting = {"ir": stream(ir), "vis": stream(vis)}
    matcher, found = Matcher(tolerance), []
    while waiting:
        side = generator.choice(sorted(waiting))
        if waiting[side]:
            found += matcher.push(side, waiting[side].pop(0))
        else:
            found += matcher.end(side)
            del waiting[side]
    assert [times(*match) for match in found] == pair(ir, vis, tolerance)


@pytest.mark.parametrize("tolerance", [15, 50, 400])
def test_memory_is_bounded_whatever_the_tolerance(tolerance):
    generator = random.Random(2)
    taken = given_back = most = 0

    def camera(offset):
        nonlocal taken
        for k in range(1500):
            if generator.random() < 0.95:
                taken += 1
                yield Frame(IMAGE, 33 * k + offset + generator.randint(-9, 9), k)

    for match in pair_by_time(camera(0), camera(17), Matcher(tolerance)):
        given_back += sum(frame is not None for frame in match)
        most = max(most, taken - given_back)
    assert given_back == taken
    assert most <= 2 * (LOOK_AHEAD + REORDER + 2)


def test_frames_without_time_are_refused():
    with pytest.raises(ValueError, match="no time"):
        list(pair_by_time([Frame(IMAGE, None, 0)], stream([0]), Matcher(1)))
