"""What the two cameras see of a drive: contrast, temperature, light, view and time."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from scenes import casting
from scenes.climate import Conditions, draw_climate
from scenes.render import warp
from tests.scenes.clips import LUMA, quick_clip_of
from tests.scenes.contrasts import contrasts


@pytest.fixture(scope="module")
def people():
    """How people differ from what is beside them, at each time of day; many are in a street."""
    day, night, dusk = (Conditions(time, traffic="dense") for time in ("day", "night", "dusk"))
    kinds = {
        "night": (night, None),
        "hot day": (day, True),
        "cool day": (day, False),
        "dusk": (dusk, None),
        "fog": (replace(day, weather="fog"), None),
    }
    return contrasts(kinds, more_than=12)


@pytest.mark.slow
def test_neither_modality_sees_everybody(people):
    ir, vis = people["night"]["ir"], people["night"]["vis"]
    assert len(ir) > 12
    assert (ir > 15).mean() > 0.9  # warm bodies are brighter than what surrounds them
    assert (np.abs(vis) < 10).mean() > 0.3
    ir, vis = people["hot day"]["ir"], people["hot day"]["vis"]
    assert len(ir) > 12
    assert (np.abs(ir) < 8).mean() > 0.3
    assert np.median(np.abs(vis)) > 2 * np.median(np.abs(ir))
    ir, vis = people["cool day"]["ir"], people["cool day"]["vis"]
    assert np.median(ir) > 20
    assert np.median(np.abs(vis)) > 10


@pytest.mark.slow
def test_at_crossover_infrared_contrast_is_low(people):
    night, dusk = people["night"]["ir"], people["dusk"]["ir"]
    assert len(dusk) > 12
    assert np.median(np.abs(dusk)) < 0.4 * np.median(np.abs(night))


@pytest.mark.slow
def test_fog_hides_more_from_the_visible_camera(people):
    clear, fog = people["cool day"], people["fog"]
    assert np.median(np.abs(fog["vis"])) < 0.6 * np.median(np.abs(clear["vis"]))
    assert np.median(fog["ir"]) > 0.6 * np.median(clear["ir"])
    assert np.median(fog["ir"]) > 20


def test_parked_cars_cross_the_road_in_temperature_at_sunset():
    clip = quick_clip_of(1, conditions=Conditions("dusk_to_night"))
    climate = replace(clip.climate, first=30.0, last=-20.0, sunny=1.0)
    car = casting.draw_vehicle(np.random.default_rng(0), climate, running=False)
    car = replace(car, rests=0.0, bias=0.0)
    moments = [climate.at(seconds) for seconds in (0.0, 30.0)]
    over = [car.at(m).body_c - (m.air_c + 0.7 * m.heavy_k) for m in moments]
    assert over[0] > 0.2
    assert over[1] < -2
    assert moments[1].heavy_k < moments[0].heavy_k


def test_infrared_does_not_depend_on_paint(monkeypatch):
    one = quick_clip_of(5, night=False).scene(4)
    monkeypatch.setattr(casting, "_PAINTS", ((250.0, 20.0, 20.0),) * len(casting._PAINTS))
    monkeypatch.setattr(casting, "_TOPS", ((20.0, 20.0, 250.0),) * len(casting._TOPS))
    other = quick_clip_of(5, night=False).scene(4)
    assert np.array_equal(one.ir16, other.ir16)
    assert not np.array_equal(one.vis, other.vis)


def test_sixteen_bit_infrared_is_in_hundredths_of_a_kelvin():
    clip = quick_clip_of(0, conditions=Conditions("night"))
    scene, moment = clip.scene(0), clip.climate.at(0.0)
    celsius = scene.ir16 / 100 - 273.15
    sky, road = celsius[:20, 150:170].mean(), celsius[-40:, 100:220].mean()
    assert sky == pytest.approx(moment.air_c + 0.7 * moment.sky_k, abs=12)
    assert road == pytest.approx(moment.air_c + 0.7 * moment.heavy_k + 1, abs=2.5)
    order = scene.ir16.ravel().argsort(kind="stable")
    assert (np.diff(scene.ir.ravel()[order].astype(int)) >= 0).all()  # one window for all pixels


def test_a_drive_from_dusk_into_night_darkens():
    clip = quick_clip_of(6, conditions=Conditions("dusk_to_night", span_s=4.0))
    scenes = [clip.scene(index) for index in (0, 20, 40)]
    light = [(scene.vis @ LUMA)[:100].mean() for scene in scenes]
    assert light[0] > 1.5 * light[1] > 1.5 * light[2]
    heights = [clip.climate.at(seconds).height for seconds in (0.0, 2.0, 4.0, 12.0)]
    assert heights == pytest.approx([2.0, -5.5, -13.0, -13.0])


def test_the_homography_between_the_cameras_is_exact():
    matrix = np.array([[1.02, 0.01, -7.0], [-0.015, 0.98, 4.0], [1e-5, 2e-5, 1.0]])
    straight, moved = quick_clip_of(2), quick_clip_of(2, ir_homography=matrix)
    one, other = straight.scene(3), moved.scene(3)
    assert np.array_equal(one.vis, other.vis)
    assert np.array_equal(one.labels.xyxy, other.labels.xyxy)
    # The sensor's own pattern and noise stay where they are; the street moves.
    expected = warp(cv2.GaussianBlur(one.ir16.astype(np.float32), (0, 0), 2), matrix)
    seen = cv2.GaussianBlur(other.ir16.astype(np.float32), (0, 0), 2)
    inner = np.s_[24:-24, 24:-24]
    assert np.median(np.abs(expected - seen)[inner]) < 12  # 0.12 K
    unmoved = cv2.GaussianBlur(one.ir16.astype(np.float32), (0, 0), 2)
    assert np.abs(expected - seen)[inner].mean() < 0.3 * np.abs(unmoved - seen)[inner].mean()


def test_the_delay_between_the_cameras_is_exact():
    straight, late = quick_clip_of(4), quick_clip_of(4, ir_delay=0.3)
    one, other = straight.scene(5), late.scene(5)
    assert np.array_equal(one.vis, other.vis)
    assert np.array_equal(one.labels.xyxy, other.labels.xyxy)
    # Three frames on the same is seen; only the noise is another.
    difference = other.ir16.astype(int) - straight.scene(8).ir16
    assert abs(difference.mean()) < 2
    assert np.abs(difference).mean() < 70
    assert np.abs(other.ir16.astype(int) - one.ir16).mean() > 1.3 * np.abs(difference).mean()


@pytest.mark.parametrize(
    "time", ["day", "dusk", "night", "dusk_to_night", "afternoon", "afternoon_to_night"]
)
@pytest.mark.parametrize("weather", ["clear", "fog", "rain"])
def test_the_climate_stays_within_what_the_canvas_holds(time, weather):
    for seed in range(30):
        conditions = Conditions(time, weather)
        climate = draw_climate(np.random.default_rng(seed), conditions)
        moment = climate.at(12.0)
        assert -40 <= moment.sky_k < 0
        assert 1.0 <= moment.gain <= 1.75
        assert climate.fog_ir < climate.fog
        assert -5 < moment.air_c <= 36
