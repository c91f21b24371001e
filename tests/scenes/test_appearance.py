"""What the two cameras see of a drive: contrast, temperature, light, view and time."""

from dataclasses import replace
from functools import cache
from itertools import count, islice

import cv2
import numpy as np
import pytest

from scenes import casting
from scenes.climate import Conditions, draw_climate
from scenes.render import warp
from scenes.traffic import PERSON
from tests.scenes.clips import LUMA, SIZE, clip_of


@cache
def contrasts(conditions: Conditions, *, hot: bool | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Of each person, how far the mean differs from that of what is beside them: IR and VIS."""
    ir, vis = [], []
    clips = (clip_of(s, conditions=conditions) for s in count())
    alike = (clip for clip in clips if hot is None or clip.climate.hot is hot)
    scenes = (clip.scene(index) for clip in islice(alike, 9) for index in (3, 33, 63))
    for scene in scenes:
        boxes = scene.labels.xyxy[scene.labels.class_id == PERSON]
        for left, top, right, bottom in boxes.round().astype(int):
            width = right - left
            if bottom - top < 20 or left < width or right + width > SIZE[1]:
                continue
            rows = slice(top + (bottom - top) // 8, bottom - (bottom - top) // 8)
            middle = slice(left + width // 4, right - width // 4)
            for image, found in ((scene.ir.astype(float), ir), (scene.vis @ LUMA, vis)):
                beside = np.hstack(
                    [image[rows, left - width : left], image[rows, right : right + width]]
                )
                found.append(image[rows, middle].mean() - beside.mean())
    return np.array(ir), np.array(vis)


@pytest.mark.slow
def test_neither_modality_sees_everybody():
    ir, vis = contrasts(Conditions("night"))
    assert len(ir) > 20
    assert (ir > 15).mean() > 0.9  # warm bodies are brighter than what surrounds them
    assert (np.abs(vis) < 10).mean() > 0.3
    ir, vis = contrasts(Conditions("day"), hot=True)
    assert len(ir) > 20
    assert (np.abs(ir) < 8).mean() > 0.3
    assert np.median(np.abs(vis)) > 2 * np.median(np.abs(ir))
    ir, vis = contrasts(Conditions("day"), hot=False)
    assert np.median(ir) > 20
    assert np.median(np.abs(vis)) > 10


@pytest.mark.slow
def test_at_crossover_infrared_contrast_is_low():
    night, _ = contrasts(Conditions("night"))
    dusk, _ = contrasts(Conditions("dusk"))
    assert len(dusk) > 20
    assert np.median(np.abs(dusk)) < 0.4 * np.median(np.abs(night))


@pytest.mark.slow
def test_fog_hides_more_from_the_visible_camera():
    clear_ir, clear_vis = contrasts(Conditions("day"), hot=False)
    ir, vis = contrasts(Conditions("day", "fog"))
    assert np.median(np.abs(vis)) < 0.6 * np.median(np.abs(clear_vis))
    assert np.median(ir) > 0.6 * np.median(clear_ir)
    assert np.median(ir) > 20


def test_parked_cars_cross_the_road_in_temperature_at_sunset():
    clip = clip_of(1, conditions=Conditions("dusk_to_night"))
    climate = replace(clip.climate, first=30.0, last=-20.0, sunny=1.0)
    car = casting.draw_vehicle(np.random.default_rng(0), climate, running=False)
    car = replace(car, rests=0.0, bias=0.0)
    moments = [climate.at(seconds) for seconds in (0.0, 30.0)]
    over = [car.at(m).body_c - (m.air_c + 0.7 * m.heavy_k) for m in moments]
    assert over[0] > 0.2
    assert over[1] < -2
    assert moments[1].heavy_k < moments[0].heavy_k


def test_infrared_does_not_depend_on_paint(monkeypatch):
    one = clip_of(5, night=False).scene(4)
    monkeypatch.setattr(casting, "_PAINTS", ((250.0, 20.0, 20.0),) * len(casting._PAINTS))
    monkeypatch.setattr(casting, "_TOPS", ((20.0, 20.0, 250.0),) * len(casting._TOPS))
    other = clip_of(5, night=False).scene(4)
    assert np.array_equal(one.ir16, other.ir16)
    assert not np.array_equal(one.vis, other.vis)


def test_sixteen_bit_infrared_is_in_hundredths_of_a_kelvin():
    clip = clip_of(0, conditions=Conditions("night"))
    scene, moment = clip.scene(0), clip.climate.at(0.0)
    celsius = scene.ir16 / 100 - 273.15
    sky, road = celsius[:20, 150:170].mean(), celsius[-40:, 100:220].mean()
    assert sky == pytest.approx(moment.air_c + 0.7 * moment.sky_k, abs=12)
    assert road == pytest.approx(moment.air_c + 0.7 * moment.heavy_k + 1, abs=2.5)
    order = scene.ir16.ravel().argsort(kind="stable")
    assert (np.diff(scene.ir.ravel()[order].astype(int)) >= 0).all()  # one window for all pixels


def test_a_drive_from_dusk_into_night_darkens():
    clip = clip_of(6, conditions=Conditions("dusk_to_night", span_s=20.0))
    scenes = [clip.scene(index) for index in (0, 100, 200)]
    light = [(scene.vis @ LUMA)[:100].mean() for scene in scenes]
    assert light[0] > 1.5 * light[1] > 1.5 * light[2]
    heights = [clip.climate.at(seconds).height for seconds in (0.0, 10.0, 20.0, 60.0)]
    assert heights == pytest.approx([2.0, -5.5, -13.0, -13.0])


def test_the_homography_between_the_cameras_is_exact():
    matrix = np.array([[1.02, 0.01, -7.0], [-0.015, 0.98, 4.0], [1e-5, 2e-5, 1.0]])
    straight, moved = clip_of(2), clip_of(2, ir_homography=matrix)
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
    late = clip_of(4, ir_delay=0.3)
    one, other = clip_of(4).scene(5), late.scene(5)
    assert np.array_equal(one.vis, other.vis)
    assert np.array_equal(one.labels.xyxy, other.labels.xyxy)
    # Three frames on the same is seen; only the noise is another.
    difference = late.scene(5).ir16.astype(int) - clip_of(4).scene(8).ir16
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
