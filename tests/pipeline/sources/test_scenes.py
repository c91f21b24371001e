"""The source of generated drives: keys, times, settings and faults."""

from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.frames import BadPair, FramePair
from pipeline.images import to_eight_bit
from pipeline.sources.scenes import Config, ScenesSource, build
from scenes.climate import Conditions
from scenes.faults import Faults
from scenes.render import Clip, Scene
from tests.scenes.clips import painted

SMALL = (64, 80)


def quick_clip(*args, **settings):
    return painted(Clip(*args, **settings))


@pytest.fixture(autouse=True)
def painted_streets(monkeypatch):
    """Streets are painted once for all tests, none of which looks at the paint."""
    monkeypatch.setattr("pipeline.sources.scenes.Clip", quick_clip)


@pytest.fixture
def undrawn(monkeypatch):
    """Black frames, for tests that only look at keys."""
    black = np.zeros((64, 64), np.uint8)

    def scene(clip, index):
        return Scene(black, black.astype(np.uint16), np.dstack([black] * 3), clip.truth(index))

    monkeypatch.setattr(Clip, "scene", scene)


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
    times = [0, 80_000_000, 160_000_000, 240_000_000, 320_000_000]
    assert [pair.whole().ir.timestamp_ns for pair in pairs] == times
    assert [pair.whole().vis.timestamp_ns for pair in pairs] == times
    for pair, other in zip(pairs, again, strict=True):
        assert np.array_equal(pair.whole().ir.image, other.whole().ir.image)
        assert np.array_equal(pair.whole().vis.image, other.whole().vis.image)
        assert pair.whole().ir.size == pair.whole().vis.size == (96, 128)
    fourth = quick_clip(7, 1, night=True, size=(96, 128), frame_rate=Fraction(25, 2)).scene(1)
    assert np.array_equal(pairs[3].whole().ir.image, fourth.ir)
    assert np.array_equal(source.labels("000003_night", (96, 128)).xyxy, fourth.labels.xyxy)
    assert np.array_equal(source.label_classes("000003_night"), fourth.labels.class_id)


@pytest.mark.parametrize("time", ["day", "afternoon", "dusk", "night"])
def test_one_time_of_day(time, undrawn):
    source = build(Config(frames=3, clip=1, size=(64, 64), time=time))
    assert all(pair.key.endswith(f"_{time}") for pair in source)


def test_streets_are_painted_once_though_labels_come_later(monkeypatch, undrawn):
    """A run asks for the labels of a frame when frames of the next clips are drawn already."""
    painted = []

    def paint(seed, number, **more):
        painted.append(number)
        return quick_clip(seed, number, **more)

    monkeypatch.setattr("pipeline.sources.scenes.Clip", paint)
    source = build(Config(frames=12, clip=2, size=(64, 64), time="day"))
    keys = []
    for pair in source:
        keys.append(pair.key)
        source.labels(keys[max(0, len(keys) - 6)], (64, 64))
    assert painted == list(range(6))


def test_clips_of_several_times_take_turns(undrawn):
    times = ("afternoon", "dusk", "night")
    source = build(Config(frames=8, clip=2, size=(64, 64), time=times))
    lights = [pair.key.partition("_")[2] for pair in source]
    assert lights == [time for time in (*times, "afternoon") for _ in range(2)]
    with pytest.raises(ValidationError, match="time dusk_to_night needs clip of at least 2"):
        Config(clip=1, time=("day", "dusk_to_night"))


def test_a_drive_from_dusk_into_night_spans_the_clip():
    config = Config(frames=6, clip=6, size=SMALL, time="dusk_to_night", weather="rain")
    pairs = list(build(config))
    assert [pair.key.partition("_")[2] for pair in pairs] == ["dusk"] * 3 + ["night"] * 3
    conditions = Conditions("dusk_to_night", "rain", span_s=0.5)
    clip = quick_clip(0, 0, size=SMALL, frame_rate=Fraction(10), conditions=conditions)
    assert np.array_equal(pairs[5].whole().vis.image, clip.scene(5).vis)


def test_a_drive_from_the_afternoon_into_the_night_names_its_light(undrawn):
    pairs = list(build(Config(frames=7, clip=7, size=SMALL, time="afternoon_to_night")))
    # The sun stands at 30, 20, 10, 0, -10, -20 and -30 degrees.
    light = [pair.key.partition("_")[2] for pair in pairs]
    assert light == ["afternoon"] * 3 + ["dusk"] + ["night"] * 3


def test_the_cameras_differ_as_set():
    matrix = ((1.0, 0.0, 5.0), (0.0, 1.0, -2.0), (0.0, 0.0, 1.0))
    config = Config(
        frames=2, size=SMALL, time="day", ir_homography=matrix, ir_delay_ms=40, traffic="dense"
    )
    _, pair = build(config)
    assert pair.whole().ir.timestamp_ns == 140_000_000
    assert pair.whole().vis.timestamp_ns == 100_000_000
    clip = quick_clip(
        0, 0, size=SMALL, frame_rate=Fraction(10), ir_homography=np.array(matrix), ir_delay=0.04,
        conditions=Conditions("day", traffic="dense"),
    )  # fmt: skip
    assert np.array_equal(pair.whole().ir.image, clip.scene(1).ir)


def test_sixteen_bit_frames_go_through_the_range_given():
    config = Config(frames=1, size=SMALL, time="night", ir_range=(26000, 31500))
    (pair,) = build(config)
    scene = quick_clip(0, 0, night=True, size=SMALL, frame_rate=Fraction(10)).scene(0)
    assert np.array_equal(pair.whole().ir.image, to_eight_bit(scene.ir16, (26000, 31500), ""))
    assert not np.array_equal(pair.whole().ir.image, scene.ir)


def test_dropped_and_frozen_frames_are_accounted_for():
    settings = {"frames": 40, "clip": 20, "size": (64, 64), "time": "day", "seed": 3}
    perfect = list(build(Config(**settings)))
    pairs = list(build(Config(**settings, dropped=0.3, frozen=0.3)))
    faults = Faults(3, 0.3, 0.3)
    assert len(pairs) == 40
    states = {"dropped": 0, "frozen": 0, "bad": 0}
    for index, (pair, whole) in enumerate(zip(pairs, perfect, strict=True)):
        assert pair.key == whole.key
        gone = [faults.drops(camera, index) for camera in ("ir", "vis")]
        states["dropped"] += sum(gone)
        if all(gone):
            assert isinstance(pair, BadPair)
            assert "both cameras dropped" in pair.reason
            states["bad"] += 1
            continue
        assert isinstance(pair, FramePair)
        assert [pair.ir is None, pair.vis is None] == gone
        for camera, frame in (("ir", pair.ir), ("vis", pair.vis)):
            if frame is None:
                continue
            shown = faults.shown(camera, index, index // 20 * 20)
            assert (shown < index) == (faults.freezes(camera, index) and index % 20 > 0)
            source = perfect[shown].whole()
            expected = source.ir if camera == "ir" else source.vis
            assert np.array_equal(frame.image, expected.image)
            assert frame.timestamp_ns == index * 100_000_000
            states["frozen"] += shown < index
    # Of 80 frames about 24 each, and 3 or 4 pairs lost whole.
    assert 14 <= states["dropped"] <= 34
    assert 12 <= states["frozen"] <= 34
    assert states["bad"] >= 1


@pytest.mark.parametrize(
    "settings",
    [
        {"size": (63, 320)}, {"frames": 0}, {"seed": -1}, {"time": "dawn"}, {"speed": 1},
        {"weather": "snow"}, {"traffic": "none"}, {"dropped": 1.0}, {"ir_range": (5, 5)},
        {"ir_delay_ms": float("nan")},
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValidationError):
        Config(**settings)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"dropped": 0.6, "frozen": 0.5}, "together they must stay below 1"),
        ({"clip": 5, "ir_delay_ms": -600}, "longer than a clip, 500 ms"),
        ({"time": "dusk_to_night", "clip": 1}, "at least 2 frames"),
        ({"time": "afternoon_to_night", "clip": 1}, "time afternoon_to_night needs clip"),
        ({"ir_homography": ((1, 0, 0), (2, 0, 0), (0, 0, 1))}, "can't be inverted"),
        ({"ir_homography": ((1, 0, 900), (0, 1, 0), (0, 0, 1))}, "nothing of the picture inside"),
        ({"ir_homography": ((1, 0, 0), (0, 1, 0), (-0.01, 0, 1))}, "behind the camera"),
    ],
)
def test_impossible_settings_say_why(settings, reason):
    with pytest.raises(ValidationError, match=reason):
        Config(**settings)


def test_masks_have_the_classes_of_msrs():
    """Drawn without the paint, also of a frame whose picture was never asked for."""
    source = build(Config(frames=3, clip=2, size=SMALL, seed=4))
    clip = quick_clip(4, 1, size=SMALL, frame_rate=Fraction(10), conditions=Conditions("night"))
    mask = source.masks("000002_night")
    assert (mask.dtype, mask.shape) == (np.uint8, SMALL)
    assert {0} < set(np.unique(mask)) <= {0, 1, 2}
    assert np.array_equal(mask, clip.classes(0))
