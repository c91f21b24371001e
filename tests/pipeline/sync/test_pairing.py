import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.frames import Frame
from pipeline.sync.pairing import LOOK_AHEAD, REORDER, ClockModel, Matcher, Skew, pair_by_time

IMAGE = np.zeros((1, 1), np.uint8)
MS = 1_000_000


def stream(times):
    return [Frame(IMAGE, time, index) for index, time in enumerate(times)]


def pair(ir, vis, tolerance, **more):
    matched = pair_by_time(stream(ir), stream(vis), tolerance_ns=tolerance, **more)
    return [times(*match) for match in matched]


def times(ir, vis):
    return ir and ir.timestamp_ns, vis and vis.timestamp_ns


def whole(found):
    return [(a, b) for a, b in found if a is not None and b is not None]


def oracle(ir, vis, tolerance):
    """Most pairs and their least total difference: the plain programme over the whole streams."""
    ir, vis = sorted(ir), sorted(vis)
    above = [(0, 0)] * (len(vis) + 1)  # (pairs, -difference)
    for a in ir:
        row = [(0, 0)]
        for j, b in enumerate(vis):
            best = max(above[j + 1], row[j])
            if abs(a - b) <= tolerance:
                best = max(best, (above[j][0] + 1, above[j][1] - abs(a - b)))
            row.append(best)
        above = row
    return above[-1][0], -above[-1][1]


def score(found):
    return len(whole(found)), sum(abs(a - b) for a, b in whole(found))


def assert_a_matching(found, ir, vis, tolerance):
    """Every frame once, both orders kept, within the tolerance, in order of time."""
    assert [a for a, _ in found if a is not None] == sorted(ir)
    assert [b for _, b in found if b is not None] == sorted(vis)
    assert all(abs(a - b) <= tolerance for a, b in whole(found))


# Streams of two cameras in whole milliseconds: rate, offset, jitter, drops, duplicates.
@st.composite
def camera(draw):
    period, offset = draw(st.integers(4, 25)), draw(st.integers(-30, 30))
    jitter = st.integers(-draw(st.integers(0, 12)), draw(st.integers(0, 12)))
    copies = st.sampled_from([0, 1, 1, 1, 1, 1, 2])
    return sorted(
        k * period + offset + draw(jitter)
        for k in range(draw(st.integers(0, 14)))
        for _ in range(draw(copies))
    )


TIMES = st.one_of(camera(), st.lists(st.integers(0, 60), max_size=12).map(sorted))


def test_equal_times_pair_one_to_one():
    assert pair([0, 10, 20], [0, 10, 20], 0) == [(0, 0), (10, 10), (20, 20)]


def test_the_nearer_neighbour_wins():
    assert pair([0, 9], [10], 20) == [(0, None), (9, 10)]
    assert pair([10], [0, 9], 20) == [(None, 0), (10, 9)]


def test_more_pairs_count_before_nearness():
    assert pair([0, 10], [9, 20], 10) == [(0, 9), (10, 20)]


def test_a_dropped_frame_costs_one_pair_only():
    assert pair([0, 10, 20, 30], [0, 20, 30], 5) == [(0, 0), (10, None), (20, 20), (30, 30)]


def test_beyond_the_tolerance_nothing_pairs():
    assert pair([0, 100], [50, 151], 49) == [(0, None), (None, 50), (100, None), (None, 151)]


def test_one_empty_stream():
    assert pair([], [1, 2], 9) == [(None, 1), (None, 2)]
    assert pair([1], [], 9) == [(1, None)]
    assert pair([], [], 9) == []


def test_30_and_25_frames_a_second():
    ir = [round(i * 1e9 / 30) for i in range(60)]
    vis = [round(i * 1e9 / 25) for i in range(50)]
    found = pair(ir, vis, round(1e9 / 60))
    assert len(whole(found)) == 50  # each frame of the slower stream has a partner
    assert len(found) == 60


def test_a_variable_rate():
    vis = [0, 33, 66, 100, 600, 633, 1400, 1433, 1466]
    ir = [5, 68, 98, 330, 602, 900, 1401, 1470]
    assert whole(pair(ir, vis, 16)) == [
        (5, 0), (68, 66), (98, 100), (602, 600), (1401, 1400), (1470, 1466),
    ]  # fmt: skip


@settings(max_examples=300)
@given(TIMES, TIMES, st.integers(0, 40))
def test_as_many_pairs_and_as_near_as_the_whole_programme_finds(ir, vis, tolerance):
    found = pair(ir, vis, tolerance)
    assert_a_matching(found, ir, vis, tolerance)
    assert score(found) == oracle(ir, vis, tolerance)


@settings(max_examples=150)
@given(TIMES, TIMES, st.integers(0, 40))
def test_output_is_in_order_of_time(ir, vis, tolerance):
    found = pair(ir, vis, tolerance)
    spans = [[time for time in match if time is not None] for match in found]
    assert [min(span) for span in spans] == sorted(min(span) for span in spans)


def test_a_frame_too_late_for_a_forced_decision_keeps_the_order_of_its_stream():
    ir = [26, 26, 30, 34, 38, 42, 46, 50, 54]
    found = pair(ir, [20, 20, 31], 6, look_ahead=2)
    assert_a_matching(found, ir, [20, 20, 31], 6)


@settings(max_examples=120)
@given(TIMES, TIMES, st.integers(0, 40), st.integers(1, 5))
def test_forced_decisions_still_give_a_matching(ir, vis, tolerance, look_ahead):
    found = pair(ir, vis, tolerance, look_ahead=look_ahead)
    assert_a_matching(found, ir, vis, tolerance)
    assert score(found)[0] <= oracle(ir, vis, tolerance)[0]


@settings(max_examples=120)
@given(TIMES, TIMES, st.integers(0, 40), st.data())
def test_frames_inside_the_reorder_window_are_put_in_order(ir, vis, tolerance, data):
    # A frame moved back by up to REORDER places was overtaken by as many others.
    mixed = []
    for times_ in (ir, vis):
        places = [k + data.draw(st.integers(0, REORDER)) for k in range(len(times_))]
        mixed.append([time for _, time in sorted(zip(places, times_, strict=True))])
    assert pair(*mixed, tolerance) == pair(ir, vis, tolerance)


@settings(max_examples=120)
@given(st.lists(st.integers(0, 300), max_size=40), TIMES, st.integers(0, 3), st.integers(0, 20))
def test_any_order_loses_no_frame(ir, vis, reorder, tolerance):
    matches = list(pair_by_time(stream(ir), stream(vis), tolerance_ns=tolerance, reorder=reorder))
    assert sorted(a.index for a, _ in matches if a) == list(range(len(ir)))
    assert [b.index for _, b in matches if b] == list(range(len(vis)))
    pairs = whole([times(*match) for match in matches])
    assert all(abs(a - b) <= tolerance for a, b in pairs)
    assert [a for a, _ in pairs] == sorted(a for a, _ in pairs)


def test_a_frame_later_than_the_window_comes_out_alone():
    ir = [10, 20, 30, 40, 0, 50]
    found = pair(ir, [0, 10, 20, 30, 40, 50], 2, reorder=3)
    assert (0, None) in found
    assert (None, 0) in found
    assert len(whole(found)) == 5
    assert len(whole(pair(ir, [0, 10, 20, 30, 40, 50], 2, reorder=4))) == 6


@settings(max_examples=150)
@given(st.lists(st.integers(0, 9), max_size=5), st.lists(st.integers(0, 9), max_size=5),
       st.integers(0, 9))  # fmt: skip
def test_of_equal_matchings_the_latest_frame_is_left_out(ir, vis, tolerance):
    ir, vis = sorted(ir), sorted(vis)
    # all matchings there are
    possible = [
        tuple(zip(a, b, strict=True))
        for count in range(min(len(ir), len(vis)) + 1)
        for a in itertools.combinations(range(len(ir)), count)
        for b in itertools.combinations(range(len(vis)), count)
        if all(abs(ir[i] - vis[j]) <= tolerance for i, j in zip(a, b, strict=True))
    ]
    latest_first = sorted(
        [(t, 0, i) for i, t in enumerate(ir)] + [(t, 1, j) for j, t in enumerate(vis)], reverse=True
    )

    def rank(pairs):
        used = {(0, i) for i, _ in pairs} | {(1, j) for _, j in pairs}
        kept = [(side, position) in used for _, side, position in latest_first]
        return -len(pairs), sum(abs(ir[i] - vis[j]) for i, j in pairs), kept

    found = pair_by_time(stream(ir), stream(vis), tolerance_ns=tolerance)
    assert tuple((a.index, b.index) for a, b in found if a and b) == min(possible, key=rank)


@given(TIMES, st.integers(0, 20))
def test_a_stream_pairs_with_itself(ir, tolerance):
    distinct = sorted(set(ir))
    assert pair(distinct, distinct, tolerance) == [(t, t) for t in distinct]


@given(TIMES, TIMES, st.integers(0, 40), st.integers(-50, 50), st.integers(-200_000, 200_000))
def test_the_clock_is_corrected_and_the_frames_stay(ir, vis, tolerance, offset, drift):
    clock = ClockModel(offset, drift)
    corrected = [t + offset + round(drift * 1e-6 * (t - ir[0])) for t in ir]
    found = pair(ir, vis, tolerance, clock=clock)
    assert [a for a, _ in found if a is not None] == ir
    assert len(whole(found)) == oracle(corrected, vis, tolerance)[0]


def test_drift_of_a_long_recording():
    vis = [round(k * 1e9 / 30) for k in range(9000)]  # five minutes
    ir = [round(t / (1 + 200e-6)) - 700 * MS for t in vis]  # 60 ms slow at the end
    clock = ClockModel(700 * MS, 200.0)
    skew = Skew()
    frames = pair_by_time(stream(ir), stream(vis), tolerance_ns=MS, clock=clock, skew=skew)
    assert all(a.index == b.index for a, b in frames)
    assert skew.count == 9000
    assert max(abs(skew.least_ns), abs(skew.greatest_ns)) <= 2
    offset_alone = pair(ir, vis, 16 * MS, clock=ClockModel(700 * MS))
    assert whole(offset_alone) != [(a, b) for a, b in zip(ir, vis, strict=True)]


def test_a_drift_that_turns_time_back_is_refused():
    with pytest.raises(ValueError, match="turn time back"):
        ClockModel(drift_ppm=-1e6)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=50))
def test_skew_against_numpy(differences):
    skew = Skew()
    for difference in differences:
        skew.add(difference)
    found = skew.as_dict()
    assert found["pairs"] == len(differences)
    assert found["mean_ms"] == pytest.approx(np.mean(differences) / 1e6, abs=1e-9)
    assert found["std_ms"] == pytest.approx(np.std(differences) / 1e6, abs=1e-6)
    assert found["min_ms"] == min(differences) / 1e6
    assert found["max_ms"] == max(differences) / 1e6


def test_skew_is_visible_less_corrected_infrared_time():
    skew = Skew()
    pair([0, 100 * MS], [7 * MS, 99 * MS], 10 * MS, clock=ClockModel(2 * MS), skew=skew)
    assert skew.as_dict() == {
        "pairs": 2, "mean_ms": 1.0, "std_ms": 4.0, "min_ms": -3.0, "max_ms": 5.0,
    }  # fmt: skip


def test_skew_without_pairs():
    assert Skew().as_dict() == {
        "pairs": 0, "mean_ms": None, "std_ms": None, "min_ms": None, "max_ms": None,
    }  # fmt: skip


def counted(frames, counts, name):
    for frame in frames:
        counts[name] += 1
        yield frame


def test_streams_are_read_no_further_than_needed():
    counts = {"ir": 0, "vis": 0}
    ir = counted(stream(range(0, 10_000, 10)), counts, "ir")
    vis = counted(stream(range(5000, 15_000, 10)), counts, "vis")
    matches = pair_by_time(ir, vis, tolerance_ns=2, reorder=0)
    for number in range(400):
        assert times(*next(matches)) == (10 * number, None)
    assert counts["ir"] <= 402
    assert counts["vis"] == 1


def test_a_frame_comes_out_as_soon_as_it_is_decided():
    counts = {"ir": 0, "vis": 0}
    ir = counted(stream(range(0, 1000, 10)), counts, "ir")
    vis = counted(stream(range(1, 1000, 10)), counts, "vis")
    matches = pair_by_time(ir, vis, tolerance_ns=5, reorder=0)
    for number in range(1, 50):
        assert next(matches)[0].index == number - 1
        assert counts["ir"] <= number + 1
        assert counts["vis"] <= number + 1
    matches = pair_by_time(
        counted(stream(range(0, 1000, 10)), counts, "ir"), stream(range(1000)), tolerance_ns=5
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


@settings(max_examples=120)
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

    for match in pair_by_time(camera(0), camera(17), tolerance_ns=tolerance):
        given_back += sum(frame is not None for frame in match)
        most = max(most, taken - given_back)
    assert given_back == taken
    assert most <= 2 * (LOOK_AHEAD + REORDER + 2)


def test_frames_without_time_are_refused():
    with pytest.raises(ValueError, match="no time"):
        list(pair_by_time([Frame(IMAGE, None, 0)], stream([0]), tolerance_ns=1))
