"""Clips: what a drive looks like, and what is known about it."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import count, islice, pairwise

import cv2
import numpy as np
import pytest

from scenes import casting
from scenes.climate import Conditions, draw_climate
from scenes.drawing import (
    SUPERSAMPLING,
    Camera,
    Shape,
    draw,
    ellipse,
    temperature,
    temperature_code,
    upright,
)
from scenes.render import Clip, Scene, warp
from scenes.traffic import CAR, PERSON

SIZE = (256, 320)
LUMA = np.array([0.299, 0.587, 0.114])


def clip_of(seed: int, *, size: tuple[int, int] = SIZE, **settings) -> Clip:
    return Clip(seed, 0, size=size, frame_rate=Fraction(10), **settings)


def same(one: Scene, other: Scene) -> bool:
    arrays = (
        (s.ir, s.ir16, s.vis, s.labels.xyxy, s.labels.class_id, s.labels.ignore, s.truth.track)
        for s in (one, other)
    )
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


@pytest.mark.parametrize(
    "conditions",
    [
        Conditions("day"),
        Conditions("night", "rain"),
        Conditions("dusk", "fog"),
        Conditions("dusk_to_night", span_s=2.0),
        Conditions("afternoon_to_night", span_s=2.0),
    ],
)
def test_a_frame_depends_on_the_settings_and_its_index_alone(conditions):
    in_order, jumping = (clip_of(3, conditions=conditions) for _ in range(2))
    frames = [in_order.scene(index) for index in range(6)]
    far = jumping.scene(400)  # a kilometre or so on: other stretches push the first ones out
    assert same(jumping.scene(5), frames[5])
    assert same(jumping.scene(1), frames[1])
    assert same(in_order.scene(400), far)
    assert not same(frames[0], frames[1])
    assert not same(clip_of(4, conditions=conditions).scene(0), frames[0])


def test_night_is_short_for_the_conditions_of_a_clear_night():
    named = clip_of(3, conditions=Conditions("night")).scene(2)
    assert same(clip_of(3, night=True).scene(2), named)
    assert same(clip_of(3).scene(2), clip_of(3, conditions=Conditions("day")).scene(2))


@pytest.mark.parametrize("size", [(64, 64), (101, 163), (120, 96), (300, 480)])
def test_any_size_from_64_pixels(size):
    scene = clip_of(1, night=True, size=size).scene(0)
    assert scene.ir.shape == scene.ir16.shape == size
    assert scene.vis.shape == (*size, 3)
    assert scene.ir.dtype == scene.vis.dtype == np.uint8
    assert scene.ir16.dtype == np.uint16


def test_too_small_is_refused():
    with pytest.raises(ValueError, match="64 pixels"):
        clip_of(1, night=True, size=(64, 63))


def test_the_box_of_a_known_rectangle():
    # 2 m by 1 m at 10 m: 100 canvas pixels a metre at 1 m make 10 here, 5 image pixels.
    camera = Camera((200, 400), 100.0, 200.0, horizon=100.0, x=0.0, height=1.0, z=30.0)
    outline = [(-1.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0)]
    sprite = draw(camera, [Shape(upright(outline, 3.0, 0.0, 40.0), (10, 20, 30), 25.0)], air_c=5.0)
    rows, columns = np.nonzero(sprite.silhouette)
    # Outlines belong to the polygon, so both edges' pixels are drawn.
    assert (columns.min() + sprite.left, columns.max() + sprite.left) == (220, 240)
    assert (rows.min() + sprite.top, rows.max() + sprite.top) == (100, 110)
    assert tuple(sprite.planes[sprite.silhouette][0][:3]) == (10, 20, 30)
    assert temperature(sprite.planes[sprite.silhouette][0][3]) == pytest.approx(20.0, abs=0.2)


def test_temperatures_survive_the_canvas():
    kelvin = np.linspace(-40, 50, 50)
    assert temperature(temperature_code(kelvin)) == pytest.approx(kelvin, abs=0.2)
    assert temperature_code(-80) == 1


@pytest.mark.parametrize("night", [False, True])
def test_boxes_are_tight_round_the_pixels_that_are_seen(night):
    boxes = 0
    for seed in range(5):
        clip = clip_of(seed, night=night)
        truth, mask = clip.truth(14), clip.mask(14)
        assert mask.shape == (SIZE[0] * SUPERSAMPLING, SIZE[1] * SUPERSAMPLING)
        for box, track in zip(truth.labels.xyxy, truth.track, strict=True):
            rows, columns = np.nonzero(mask == track)
            drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == [edge / SUPERSAMPLING for edge in drawn]
            boxes += 1
        assert set(truth.labels.class_id.tolist()) <= {PERSON, CAR}
    assert boxes > 25


def test_visibility_is_the_share_of_the_silhouette_that_is_seen():
    partly = ignored = 0
    for seed in range(8):
        clip = clip_of(seed)
        truth, mask = clip.truth(7), clip.mask(7)
        whole = {a.track: np.count_nonzero(a.sprite.silhouette) for a in clip.actors(7) if a.track}
        assert len(set(truth.track.tolist())) == len(truth.track)
        for box, track, visible, depth in zip(
            truth.labels.xyxy, truth.track, truth.visible, truth.depth, strict=True
        ):
            assert visible == np.count_nonzero(mask == track) / whole[track]
            assert 0.35 <= visible <= 1
            assert box[3] - box[1] >= 10
            assert depth > 0
            partly += visible < 0.9
        ignored += len(truth.labels.ignore)
        labelled_or_ignored = len(truth.track) + len(truth.labels.ignore)
        assert labelled_or_ignored <= len(set(mask[mask > 0].tolist()))
    assert partly > 5
    assert ignored > 5


def test_the_nearer_hides_the_farther():
    pairs = 0
    for seed in range(6):
        clip = clip_of(seed)
        mask = clip.mask(3)
        actors = [actor for actor in clip.actors(3) if actor.track]
        for far, near in pairwise(actors):
            assert far.place[1] >= near.place[1]
            both = silhouette(far) & silhouette(near)
            if both.any():
                assert not (mask[both] == far.track).any()
                pairs += 1
    assert pairs > 5


def silhouette(actor) -> np.ndarray:
    """Where an actor is, on the canvas."""
    height, width = (side * SUPERSAMPLING for side in SIZE)
    wide = np.zeros((3 * height, 3 * width), bool)
    sprite = actor.sprite
    h, w = sprite.silhouette.shape
    wide[sprite.top + height :, sprite.left + width :][:h, :w] = sprite.silhouette
    return wide[height : 2 * height, width : 2 * width]


def test_tracks_persist_and_things_come_nearer():
    clip = clip_of(2, conditions=Conditions("day", traffic="dense"))
    seen: dict[int, list[tuple[int, float, np.ndarray]]] = {}
    for index in range(0, 30):
        truth = clip.truth(index)
        for track, depth, box, kind in zip(
            truth.track, truth.depth, truth.labels.xyxy, truth.labels.class_id, strict=True
        ):
            centre = (box[:2] + box[2:]) / 2
            seen.setdefault(int(track), []).append((index, float(depth), centre))
            assert kind == (PERSON if track // 10_000_000 in (2, 3) else CAR)
    long = [path for path in seen.values() if len(path) > 10]
    assert len(long) >= 5
    nearer = 0
    for path in long:
        for (i, depth, at), (j, next_depth, to) in pairwise(path):
            if j == i + 1:  # at most 25 m/s together, and no jumps
                assert abs(next_depth - depth) < 2.5
                if depth > 12:
                    assert np.abs(to - at).max() < 40
        nearer += path[-1][1] < path[0][1] - 1
    assert nearer >= len(long) / 2


def test_nobody_is_run_over():
    for seed in range(4):
        clip = clip_of(seed, size=(64, 64), conditions=Conditions("day", traffic="dense"))
        for index in range(0, 200, 3):
            camera = clip.ego.camera(clip.seconds(index))
            for actor in clip.actors(index):
                away = actor.place[1] - camera.z
                if actor.class_id == PERSON and abs(actor.place[0] - camera.x) < 1.1:
                    assert away > 2, (seed, index)
                if actor.class_id == CAR and abs(actor.place[0] - camera.x) < 1.8:
                    assert away > 4, (seed, index)


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


def test_at_crossover_infrared_contrast_is_low():
    night, _ = contrasts(Conditions("night"))
    dusk, _ = contrasts(Conditions("dusk"))
    assert len(dusk) > 20
    assert np.median(np.abs(dusk)) < 0.4 * np.median(np.abs(night))


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


def test_ellipse_meets_its_radii():
    outline = ellipse(2.0, 0.5, 40)
    assert np.abs(outline).max(axis=0) == pytest.approx([2.0, 0.5])
