"""Clips: what a drive is made of, and what is known about it."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from scenes import actors
from scenes.climate import Conditions
from scenes.drawing import (
    SUPERSAMPLING,
    Camera,
    Shape,
    Sprite,
    draw,
    ellipse,
    temperature,
    temperature_code,
    upright,
)
from scenes.render import Scene
from scenes.traffic import CAR, PERSON
from tests.scenes.clips import SIZE, clip_of, quick_clip_of


def same(one: Scene, other: Scene) -> bool:
    arrays = (
        (s.ir, s.ir16, s.vis, s.labels.xyxy, s.labels.class_id, s.labels.ignore, s.truth.track)
        for s in (one, other)
    )
    return all(np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


@pytest.mark.parametrize(
    ("conditions", "paints"),
    [
        (Conditions("day"), True),
        (Conditions("night", "rain"), True),
        (Conditions("dusk", "fog"), False),  # paint is that of a day or of rain: most of the work
        (Conditions("dusk_to_night", span_s=2.0), False),
        (Conditions("afternoon_to_night", span_s=2.0), False),
    ],
)
def test_a_frame_depends_on_the_settings_and_its_index_alone(conditions, paints):
    size = (128, 160)
    in_order = quick_clip_of(3, conditions=conditions, size=size)
    jumping = (clip_of if paints else quick_clip_of)(3, conditions=conditions, size=size)
    frames = [in_order.scene(index) for index in range(3)]
    caches = []
    if paints:
        textures = jumping._backdrop._textures
        textures._painted = lru_cache(maxsize=12)(textures._paint)
        textures._joined = lru_cache(maxsize=20)(textures._join)
        caches = [textures._painted, textures._joined]
    far = jumping.scene(100)
    assert same(jumping.scene(2), frames[2])
    assert same(jumping.scene(1), frames[1])
    for cache in (cache.cache_info() for cache in caches):
        assert cache.misses > cache.maxsize  # the first stretches pushed the far ones out
    assert same(in_order.scene(100), far)
    assert not same(frames[0], frames[1])
    assert not same(quick_clip_of(4, conditions=conditions, size=size).scene(0), frames[0])


def test_night_is_short_for_the_conditions_of_a_clear_night():
    named = [quick_clip_of(3, conditions=Conditions(time)).scene(2) for time in ("night", "day")]
    assert same(quick_clip_of(3, night=True).scene(2), named[0])
    assert same(quick_clip_of(3).scene(2), named[1])


@pytest.mark.parametrize("size", [(64, 64), (101, 163), (120, 96), (300, 480)])
def test_any_size_from_64_pixels(size):
    scene = quick_clip_of(1, night=True, size=size).scene(0)
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


def test_the_classes_of_pixels_are_those_of_the_objects_seen_there():
    """Of pixels that one object covers whole, and of those that none covers."""
    seen = dict.fromkeys((0, 1, 2), 0)
    for seed in range(3):
        clip = clip_of(seed)
        mask, classes = clip.mask(5), clip.classes(5)
        assert (classes.dtype, classes.shape) == (np.uint8, SIZE)
        labels = {a.track: {PERSON: 2, CAR: 1}.get(a.class_id, 0) for a in clip.actors(5)}
        quarters = np.stack([mask[i::2, j::2] for i in (0, 1) for j in (0, 1)])
        for track in np.unique(mask).tolist():
            whole = (quarters == track).all(0)
            if track:  # 0 is also that of props
                assert (classes[whole] == labels[track]).all()
                seen[labels[track]] += np.count_nonzero(whole)
        free = (quarters == 0).all(0)
        assert (classes[free] == 0).all()
        seen[0] += np.count_nonzero(free)
    assert min(seen.values()) > 100


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


def test_nobody_is_run_over(monkeypatch):
    # only the places matter; nothing need be drawn
    monkeypatch.setattr(actors, "car_shapes", lambda *_: ([], []))
    monkeypatch.setattr(actors, "person_shapes", lambda *_: [])
    monkeypatch.setattr(actors, "draw", lambda *_: Sprite(0, 0, np.zeros((1, 1, 4), np.uint8)))
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


def test_ellipse_meets_its_radii():
    outline = ellipse(2.0, 0.5, 40)
    assert np.abs(outline).max(axis=0) == pytest.approx([2.0, 0.5])
