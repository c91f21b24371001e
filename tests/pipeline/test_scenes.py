from fractions import Fraction
from itertools import count, islice

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.frames import FramePair
from pipeline.scenes.drawing import (
    SUPERSAMPLING,
    Camera,
    Shape,
    draw,
    ellipse,
    temperature,
    temperature_code,
    upright,
)
from pipeline.scenes.render import Clip, Scene
from pipeline.scenes.street import CAR, PERSON, build_street
from pipeline.sources.scenes import Config, ScenesSource, build

SIZE = (256, 320)
LUMA = np.array([0.299, 0.587, 0.114])


def clip_of(seed: int, *, night: bool, size: tuple[int, int] = SIZE) -> Clip:
    return Clip(seed, 0, night=night, size=size, frame_rate=Fraction(10))


def same(one: Scene, other: Scene) -> bool:
    return (
        np.array_equal(one.ir, other.ir)
        and np.array_equal(one.vis, other.vis)
        and np.array_equal(one.labels.xyxy, other.labels.xyxy)
        and np.array_equal(one.labels.class_id, other.labels.class_id)
        and np.array_equal(one.labels.ignore, other.labels.ignore)
    )


@pytest.mark.parametrize("night", [False, True])
def test_a_frame_depends_on_seed_and_index_alone(night):
    in_order, jumping = clip_of(3, night=night), clip_of(3, night=night)
    frames = [in_order.scene(index) for index in range(6)]
    assert same(jumping.scene(5), frames[5])
    assert same(jumping.scene(1), frames[1])
    assert not same(frames[0], frames[1])
    assert not same(clip_of(4, night=night).scene(0), frames[0])


@pytest.mark.parametrize("size", [(64, 64), (101, 163), (120, 96), (300, 480)])
def test_any_size_from_64_pixels(size):
    scene = clip_of(1, night=True, size=size).scene(0)
    assert scene.ir.shape == size
    assert scene.vis.shape == (*size, 3)
    assert scene.ir.dtype == scene.vis.dtype == np.uint8


def test_too_small_is_refused():
    with pytest.raises(ValueError, match="64 pixels"):
        clip_of(1, night=True, size=(64, 63))


def test_the_box_of_a_known_rectangle():
    # 2 m by 1 m at 10 m: 100 canvas pixels a metre at 1 m make 10 here, 5 image pixels.
    camera = Camera((200, 400), focal=100.0, centre_x=200.0, horizon=100.0, x=0.0, height=1.0)
    outline = [(-1.0, 0.0), (1.0, 0.0), (1.0, 1.0), (-1.0, 1.0)]
    sprite = draw(camera, [Shape(upright(outline, 3.0, 0.0, 10.0), (10, 20, 30), 25.0)])
    rows, columns = np.nonzero(sprite.silhouette)
    # Outlines belong to the polygon, so both edges' pixels are drawn.
    assert (columns.min() + sprite.left, columns.max() + sprite.left) == (220, 240)
    assert (rows.min() + sprite.top, rows.max() + sprite.top) == (100, 110)
    assert tuple(sprite.planes[sprite.silhouette][0][:3]) == (10, 20, 30)
    assert temperature(sprite.planes[sprite.silhouette][0][3]) == pytest.approx(25.0, abs=0.2)


def test_temperatures_survive_the_canvas():
    celsius = np.linspace(-25, 65, 50)
    assert temperature(temperature_code(celsius)) == pytest.approx(celsius, abs=0.2)
    assert temperature_code(-80) == 1


@pytest.mark.parametrize("night", [False, True])
def test_boxes_are_the_silhouettes_extent(night):
    for seed in range(6):
        clip = clip_of(seed, night=night)
        labels = clip.labels(4)
        masks = [
            mask_on_image(actor.sprite) for actor in clip.actors(4) if actor.class_id is not None
        ]
        extents = [extent(mask) for mask in masks if mask.any()]
        for box in np.concatenate([labels.xyxy, labels.ignore]):
            assert any(np.array_equal(box, other) for other in extents), (seed, box)
        assert (labels.xyxy[:, :2] >= 0).all()
        assert (labels.xyxy[:, 2:] <= (SIZE[1], SIZE[0])).all()
        assert (labels.xyxy[:, 2:] > labels.xyxy[:, :2]).all()
        assert set(labels.class_id.tolist()) <= {PERSON, CAR}


def mask_on_image(sprite) -> np.ndarray:
    """The silhouette on a canvas of three images' size, cut to the middle one."""
    height, width = (side * SUPERSAMPLING for side in SIZE)
    wide = np.zeros((3 * height, 3 * width), bool)
    h, w = sprite.silhouette.shape
    wide[sprite.top + height :, sprite.left + width :][:h, :w] = sprite.silhouette
    return wide[height : 2 * height, width : 2 * width]


def extent(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / SUPERSAMPLING


def test_objects_that_are_hidden_get_no_label():
    labelled = seen = ignored = 0
    for seed in range(8):
        clip = clip_of(seed, night=False)
        labels = clip.labels(0)
        labelled += len(labels)
        ignored += len(labels.ignore)
        seen += sum(
            mask_on_image(actor.sprite).any()
            for actor in clip.actors(0)
            if actor.class_id is not None
        )
    assert labelled > 25
    assert ignored > 0
    assert labelled + ignored < seen


def contrasts(*, night: bool, hot: bool) -> tuple[np.ndarray, np.ndarray]:
    """Of each person, how far the mean differs from that of what is beside them: IR and VIS."""
    ir, vis = [], []
    alike = (s for s in count() if build_street((s, 0), SIZE, night=night).climate.hot is hot)
    for seed in islice(alike, 14):
        scene = clip_of(seed, night=night).scene(3)
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
    ir, vis = contrasts(night=True, hot=False)
    assert len(ir) > 20
    assert (ir > 15).mean() > 0.9  # warm bodies are brighter than what surrounds them
    assert (np.abs(vis) < 10).mean() > 0.3
    ir, vis = contrasts(night=False, hot=True)
    assert len(ir) > 20
    assert (np.abs(ir) < 8).mean() > 0.3
    assert np.median(np.abs(vis)) > 2 * np.median(np.abs(ir))
    ir, vis = contrasts(night=False, hot=False)
    assert np.median(ir) > 20
    assert np.median(np.abs(vis)) > 10


def test_the_source_gives_pairs_with_their_labels():
    source = build(Config(frames=5, seed=7, size=(96, 128), clip=2, frame_rate=12.5))
    assert isinstance(source, ScenesSource)
    source.check()
    with source:
        pairs = list(source)
        again = list(source)
    assert source.count == len(pairs) == 5
    assert source.has_labels
    assert source.frame_rate == Fraction(25, 2)
    assert [pair.key for pair in pairs] == [
        "000000_day", "000001_day", "000002_night", "000003_night", "000004_day",
    ]  # fmt: skip
    assert [timestamp(pair) for pair in pairs] == [
        0,
        80_000_000,
        160_000_000,
        240_000_000,
        320_000_000,
    ]
    for pair, other in zip(pairs, again, strict=True):
        assert pair.ir is not None
        assert pair.vis is not None
        assert np.array_equal(pair.ir.image, other.ir.image)
        assert np.array_equal(pair.vis.image, other.vis.image)
        assert pair.ir.size == pair.vis.size == (96, 128)
    fourth = Clip(7, 1, night=True, size=(96, 128), frame_rate=Fraction(25, 2)).scene(1)
    assert np.array_equal(pairs[3].ir.image, fourth.ir)
    assert np.array_equal(source.labels("000003_night", (96, 128)).xyxy, fourth.labels.xyxy)


def timestamp(pair: FramePair) -> int | None:
    assert pair.ir is not None
    return pair.ir.timestamp_ns


@pytest.mark.parametrize("time", ["day", "night"])
def test_one_time_of_day(time):
    source = build(Config(frames=3, clip=1, size=(64, 64), time=time))
    assert all(pair.key.endswith(f"_{time}") for pair in source)


@pytest.mark.parametrize(
    "settings", [{"size": (63, 320)}, {"frames": 0}, {"seed": -1}, {"time": "dusk"}, {"speed": 1}]
)
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        Config(**settings)


def test_ellipse_meets_its_radii():
    outline = ellipse(2.0, 0.5, 40)
    assert np.abs(outline).max(axis=0) == pytest.approx([2.0, 0.5])
