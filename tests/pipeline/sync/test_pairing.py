"""Which frames are paired."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sync.pairing import REORDER, Matcher, pair_by_time
from tests.pipeline.sync.streams import (
    TIMES,
    assert_a_matching,
    oracle,
    pair,
    score,
    stream,
    times,
    whole,
)


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


@settings(max_examples=120)
@given(TIMES, TIMES, st.integers(0, 40))
def test_as_many_pairs_and_as_near_as_the_whole_programme_finds(ir, vis, tolerance):
    found = pair(ir, vis, tolerance)
    assert_a_matching(found, ir, vis, tolerance)
    assert score(found) == oracle(ir, vis, tolerance)


@settings(max_examples=60)
@given(TIMES, TIMES, st.integers(0, 40))
def test_output_is_in_order_of_time(ir, vis, tolerance):
    found = pair(ir, vis, tolerance)
    spans = [[time for time in match if time is not None] for match in found]
    assert [min(span) for span in spans] == sorted(min(span) for span in spans)


def test_a_frame_too_late_for_a_forced_decision_keeps_the_order_of_its_stream():
    ir = [26, 26, 30, 34, 38, 42, 46, 50, 54]
    found = pair(ir, [20, 20, 31], 6, look_ahead=2)
    assert_a_matching(found, ir, [20, 20, 31], 6)


@settings(max_examples=60)
@given(TIMES, TIMES, st.integers(0, 40), st.integers(1, 5))
def test_forced_decisions_still_give_a_matching(ir, vis, tolerance, look_ahead):
    found = pair(ir, vis, tolerance, look_ahead=look_ahead)
    assert_a_matching(found, ir, vis, tolerance)
    assert score(found)[0] <= oracle(ir, vis, tolerance)[0]


@settings(max_examples=60)
@given(TIMES, TIMES, st.integers(0, 40), st.data())
def test_frames_inside_the_reorder_window_are_put_in_order(ir, vis, tolerance, data):
    # A frame moved back by up to REORDER places was overtaken by as many others.
    mixed = []
    for times_ in (ir, vis):
        places = [k + data.draw(st.integers(0, REORDER)) for k in range(len(times_))]
        mixed.append([time for _, time in sorted(zip(places, times_, strict=True))])
    assert pair(*mixed, tolerance) == pair(ir, vis, tolerance)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 300), max_size=40), TIMES, st.integers(0, 3), st.integers(0, 20))
def test_any_order_loses_no_frame(ir, vis, reorder, tolerance):
    matches = list(pair_by_time(stream(ir), stream(vis), Matcher(tolerance, reorder=reorder)))
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


@settings(max_examples=60)
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

    found = pair_by_time(stream(ir), stream(vis), Matcher(tolerance))
    assert tuple((a.index, b.index) for a, b in found if a and b) == min(possible, key=rank)
