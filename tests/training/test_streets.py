from fractions import Fraction

import numpy as np
import pytest

from scenes.climate import Conditions
from scenes.render import Clip
from tests.scenes.clips import painted
from training import streets


def test_all_times_and_weathers_in_turn():
    kinds = [
        streets.conditions(seed, 4) for seed in range(streets.FIRST_SEED, streets.FIRST_SEED + 36)
    ]
    times = ("day", "night", "dusk", "dusk_to_night", "afternoon", "afternoon_to_night")
    for time in times:
        weathers = sorted(kind.weather for kind in kinds if kind.time == time)
        assert weathers == ["clear"] * 4 + ["fog", "rain"]


@pytest.fixture
def painted_streets(monkeypatch):
    """Streets are painted once for both sides of a comparison."""
    monkeypatch.setattr(streets, "Clip", lambda *args, **more: painted(Clip(*args, **more)))


def test_moments_are_two_seconds_apart(painted_streets):
    conditions = Conditions("afternoon_to_night", "fog", span_s=4.2)
    clip = streets.Clip(100_001, 0, size=(64, 80), frame_rate=Fraction(10), conditions=conditions)
    first, second = streets.scenes(100_001, 2, (64, 80))
    assert np.array_equal(first.vis, clip.scene(0).vis)
    assert np.array_equal(second.ir, clip.scene(21).ir)


def test_many_streets_are_drawn_in_their_order_by_other_processes(monkeypatch):
    monkeypatch.setattr(streets, "FEW", 1)
    seeds = range(streets.FIRST_SEED, streets.FIRST_SEED + streets.FEW + 1)
    drawn = list(streets.many(seeds, 1, (64, 80)))
    assert len(drawn) == len(seeds)
    for seed, scene in zip(seeds, drawn, strict=True):
        (expected,) = streets.scenes(seed, 1, (64, 80))
        assert np.array_equal(scene.vis, expected.vis)
        assert np.array_equal(scene.ir, expected.ir)
        assert np.array_equal(scene.labels.xyxy, expected.labels.xyxy)
