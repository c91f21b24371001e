"""Clocks that differ, and what is left of their difference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sync.pairing import ClockModel, Skew, pair_by_time
from tests.pipeline.sync.streams import TIMES, oracle, pair, stream, whole

MS = 1_000_000


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
