import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.frames import Frame
from pipeline.sync import pair_by_time

IMAGE = np.zeros((1, 1), np.uint8)


def stream(times):
    return [Frame(IMAGE, time, index) for index, time in enumerate(times)]


def pair(ir, vis, tolerance):
    matched = pair_by_time(stream(ir), stream(vis), tolerance_ns=tolerance)
    return [(a and a.timestamp_ns, b and b.timestamp_ns) for a, b in matched]


def test_equal_times_pair_one_to_one():
    assert pair([0, 10, 20], [0, 10, 20], 0) == [(0, 0), (10, 10), (20, 20)]


def test_the_nearer_neighbour_wins():
    assert pair([0, 9], [10], 20) == [(0, None), (9, 10)]
    assert pair([10], [0, 9], 20) == [(None, 0), (10, 9)]


def test_a_dropped_frame_costs_one_pair_only():
    assert pair([0, 10, 20, 30], [0, 20, 30], 5) == [(0, 0), (10, None), (20, 20), (30, 30)]


def test_beyond_the_tolerance_nothing_pairs():
    assert pair([0, 100], [50, 151], 49) == [(0, None), (None, 50), (100, None), (None, 151)]


def test_one_empty_stream():
    assert pair([], [1, 2], 9) == [(None, 1), (None, 2)]
    assert pair([1], [], 9) == [(1, None)]


def test_30_and_25_frames_a_second():
    ir = [round(i * 1e9 / 30) for i in range(60)]
    vis = [round(i * 1e9 / 25) for i in range(50)]
    found = pair(ir, vis, round(1e9 / 60))
    whole = [(a, b) for a, b in found if a is not None and b is not None]
    assert len(whole) == 50  # each frame of the slower stream has a partner
    assert len(found) == 60


TIMES = st.lists(st.integers(0, 60), max_size=12).map(sorted)


@given(TIMES, TIMES, st.integers(0, 20))
def test_every_frame_once_in_order_within_tolerance(ir, vis, tolerance):
    found = pair(ir, vis, tolerance)
    assert [a for a, _ in found if a is not None] == ir
    assert [b for _, b in found if b is not None] == vis
    assert all(abs(a - b) <= tolerance for a, b in found if a is not None and b is not None)


@given(TIMES, st.integers(0, 20))
def test_a_stream_pairs_with_itself(times, tolerance):
    distinct = sorted(set(times))
    assert pair(distinct, distinct, tolerance) == [(t, t) for t in distinct]


def test_frames_without_time_are_refused():
    with pytest.raises(ValueError, match="no time"):
        list(pair_by_time([Frame(IMAGE, None, 0)], stream([0]), tolerance_ns=1))
