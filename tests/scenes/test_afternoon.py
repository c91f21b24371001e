"""Hot afternoons and the night after them: what the sun warms, and what each camera shows of it."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenes import casting, people
from scenes.climate import Conditions, draw_climate
from scenes.heat import hot_day
from scenes.render import Clip
from scenes.street import Street
from scenes.surfaces import SUMMER, Exposure, SurfacePainter, sunlit
from tests.scenes.clips import clip_of, quick_clip_of
from tests.scenes.contrasts import contrasts

AFTERNOON = Conditions("afternoon")
# All of the drive in its first tenth of a second: what follows is the night after a hot day.
NIGHT = Conditions("afternoon_to_night", span_s=0.1)


def test_temperatures_are_those_of_a_hot_day():
    # Measured in summer sun: asphalt 48 to 67 C (EPA, Reducing Urban Heat Islands: Cool Pavements),
    # cars' bodies over 50 C; skin 33 to 36 C.
    for seed in range(60):
        climate = draw_climate(np.random.default_rng(seed), AFTERNOON)
        moment = replace(climate, first=30.0, last=30.0).at(0.0)
        assert 30 <= moment.air_c <= 36
        assert 46 < moment.air_c + moment.heavy_k < 67
        car = casting.draw_vehicle(np.random.default_rng(seed), climate, running=False)
        parked = replace(car, rests=0.0, bias=0.0)
        assert 44 < parked.at(moment, 0.9).body_c < 60
        assert parked.at(moment, 0.15).body_c < moment.air_c + 4
        outfit = casting.draw_outfit(np.random.default_rng(seed), climate)
        in_sun, in_shade = outfit.at(moment, 0.9), outfit.at(moment, 0.15)
        assert 33 <= in_sun.skin_c == in_shade.skin_c <= 35
        assert 32 < in_shade.top_c < in_sun.top_c < 44
        assert in_shade.top_c < moment.air_c + 4


def test_the_night_after_it_is_mild():
    for seed in range(60):
        climate = draw_climate(np.random.default_rng(seed), NIGHT)
        moment = climate.at(1.0)
        assert 16 <= moment.air_c <= 25
        assert 3 < moment.heavy_k < 4.1  # the road is still warmer than the air
        assert moment.quick_k < -2  # metal is colder
        person = casting.draw_outfit(np.random.default_rng(seed), climate).at(moment)
        assert person.skin_c == people.SKIN_C
        assert person.top_c > moment.air_c + 4


@given(st.floats(-30, 40), st.floats(0, 10), st.floats(0.12, 1))
def test_nothing_warms_while_the_sun_sinks(height, sinks, sunny):
    before, after = (hot_day(h, 40.0, sunny) for h in (height, max(height - sinks, -30)))
    assert after.air_k <= before.air_k <= 0
    assert 0 < after.heavy_k <= before.heavy_k
    assert after.quick_k <= before.quick_k


def test_metal_cools_with_the_sun_and_the_road_long_after_it():
    day, sunset, night = (hot_day(height, 25.0, 1.0) for height in (25.0, 0.0, -30.0))
    assert day.air_k == 0
    assert night.air_k == pytest.approx(-13.7)
    assert day.quick_k > day.heavy_k > 20
    assert sunset.quick_k < 0 < 0.45 * day.heavy_k < sunset.heavy_k
    assert night.heavy_k > 0.15 * day.heavy_k


def test_fog_and_rain_leave_no_hot_afternoon():
    for weather in ("fog", "rain"):
        climate = draw_climate(np.random.default_rng(1), Conditions("afternoon_to_night", weather))
        moments = [climate.at(seconds) for seconds in (0.0, 30.0)]
        assert not climate.hot
        assert 18 <= moments[0].air_c <= 24
        assert moments[0].heavy_k < 3
        assert moments[0].air_c - moments[1].air_c < 2  # clouds keep the night warm


@pytest.mark.parametrize(
    ("number", "conditions", "hot", "values"),
    [
        (0, Conditions("day"), True, (38.3828, 27.0744, -27.595, 8.7933, 8.0606)),
        (1, Conditions("dusk", "fog"), False, (-1.2086, 4.1624, -3.0, 0.5331, -1.4389)),
        (2, Conditions("night", "rain"), False, (-25.8142, 14.2134, -8.0, 0.18, -1.65)),
        (3, Conditions("dusk_to_night"), False, (-5.5, 24.0692, -28.3078, 4.2228, -3.0)),
    ],
)
def test_the_other_times_are_as_before_there_were_hot_afternoons(number, conditions, hot, values):
    climate = draw_climate(np.random.default_rng(number), conditions)
    moment = climate.at(15.0)
    found = (moment.height, moment.air_c, moment.sky_k, moment.heavy_k, moment.quick_k)
    assert found == pytest.approx(values, abs=1e-4)
    assert moment.under_k == pytest.approx(0.6 * moment.heavy_k + 2.5)
    assert (climate.hot, climate.summer, climate.sunlit(0.2)) == (hot, False, 1.0)


def test_shade_and_pale_stone_stay_cool():
    street = Street((4, 0))
    bare = next(s for s in map(street.stretch, range(40)) if s.junction is None)
    mild, hot = (SurfacePainter(street, wet=False, exposure=e) for e in (Exposure(), SUMMER))
    metres = (np.arange(32 * 24) + 0.5) / 24 - 16
    places = {
        "sunny road": np.abs(metres - street.sun * 0.5 * street.road) < 0.5,
        "shaded road": np.abs(metres + street.sun * 0.8 * street.road) < 0.3,
        "sunny pavement": np.abs(metres - street.sun * (street.road + 1.5)) < 0.5,
        "shaded pavement": np.abs(metres + street.sun * (street.road + 1.5)) < 0.5,
    }
    warmth = [
        {name: ground[:, where].mean() / 255 for name, where in places.items()}
        for ground in (painter.ground(bare).light[:, :, 0] for painter in (mild, hot))
    ]
    assert list(warmth[0].values()) == pytest.approx([1.0, 0.4, 1.0, 0.4], abs=0.01)
    assert list(warmth[1].values()) == pytest.approx([1.0, 0.3, 0.6, 0.18], abs=0.01)
    for side, (before, after) in ((-street.sun, (1.0, 0.5)), (street.sun, (0.5, 0.2))):
        walls = [p.facade(bare, side).light[:, :, 0].max() / 255 for p in (mild, hot)]
        assert walls == pytest.approx([before, after], abs=0.01)


def test_sun_falls_on_one_side_of_the_street():
    street = Street((4, 0))
    sunny, shady = sunlit(street, np.array([5.0, -5.0]) * street.sun)
    assert sunny == pytest.approx(0.9, abs=0.01)
    assert shady == pytest.approx(0.15, abs=0.01)


def test_lamps_are_few_in_the_night_after_a_hot_day():
    many, few = (Street((4, 0), few_lamps=f).lamps(0.0, 2000.0) for f in (False, True))
    assert len(few) == pytest.approx(len(many) / 2.5, rel=0.1)
    assert len(clip_of(4, conditions=NIGHT).street.lamps(0.0, 2000.0)) == len(few)
    night = Clip(4, 0, size=(256, 320), frame_rate=Fraction(10), night=True)
    assert len(night.street.lamps(0.0, 2000.0)) == len(many)


@pytest.fixture(scope="module")
def contrast():
    """How people differ from what is beside them, in the afternoon and in the night after it."""
    found = contrasts({"afternoon": (AFTERNOON, None), "night": (NIGHT, None)}, more_than=18)
    return found["afternoon"], found["night"]


def test_infrared_shows_people_badly_in_the_afternoon_and_well_at_night(contrast):
    afternoon, night = contrast
    assert len(afternoon["ir"]) > 18 < len(night["ir"])
    assert np.median(np.abs(afternoon["kelvin"])) < 3
    assert np.median(night["kelvin"]) > 4.5
    # Many are colder than what is beside them by day; at night hardly anybody is.
    assert (afternoon["kelvin"] < 0).mean() > 0.4
    assert (night["kelvin"] < 0).mean() < 0.1
    assert np.median(np.abs(afternoon["ir"])) < 0.45 * np.median(night["ir"])
    # By day they differ less from the street than it differs from itself.
    assert np.median(np.abs(afternoon["kelvin"]) / afternoon["kelvin_spread"]) < 1
    assert np.median(night["kelvin"] / night["kelvin_spread"]) > 2


def test_the_visible_camera_shows_them_the_other_way_round(contrast):
    afternoon, night = contrast
    assert np.median(np.abs(afternoon["vis"])) > 15
    assert np.median(np.abs(night["vis"])) < 6
    assert np.median(np.abs(afternoon["vis"])) > np.median(np.abs(afternoon["ir"]))
    assert np.median(np.abs(night["vis"])) < 0.2 * np.median(np.abs(night["ir"]))


def test_the_infrared_camera_shows_the_whole_range_of_a_hot_street():
    for seed in range(4):
        scene = quick_clip_of(seed, conditions=AFTERNOON).scene(3)
        assert (scene.ir == 255).mean() < 0.01
        below_roofs = scene.ir[120:]
        assert np.percentile(below_roofs, 95) - np.percentile(below_roofs, 5) > 70


def test_the_same_bytes_again_and_another_drive_by_another_seed():
    conditions = Conditions("afternoon_to_night", span_s=2.0)
    one, two, other = (
        clip_of(seed, size=(64, 80), conditions=conditions).scene(11) for seed in (3, 3, 4)
    )
    assert one.ir16.tobytes() == two.ir16.tobytes()
    assert one.vis.tobytes() == two.vis.tobytes()
    assert one.ir16.tobytes() != other.ir16.tobytes()
