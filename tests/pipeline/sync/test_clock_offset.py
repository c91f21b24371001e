from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from common.errors import DataError
from pipeline.sync.clock_offset import clock_of_motion, estimate_clock, motion_energy
from scenes.render import Clip
from tests.helpers.shaking import S, Shaking


def shifted(frames, *, offset=0.0, drift_ppm=0.0):
    """As a clock stamps them to whose times that much must be added."""
    first = None
    for time, image in frames:
        now = time - round(offset * S)
        first = now if first is None else first
        yield first + round((now - first) / (1 + drift_ppm * 1e-6)), image


def at(rate, seconds):
    return np.arange(int(rate * seconds)) / rate


@pytest.mark.parametrize("offset", [0.0, 0.08, -0.13, 1.234, -1.9])
@pytest.mark.parametrize("rates", [(30, 30), (25, 30), (60, 24)])
def test_offset_within_a_tenth_of_a_frame(offset, rates):
    scene = Shaking(1)
    ir = shifted(scene.frames(at(rates[0], 20), noise=20), offset=offset)
    vis = scene.frames(at(rates[1], 20), gain=90, noise=10, seed=1)
    found = estimate_clock(ir=ir, vis=vis)
    assert found.clock.offset_ns / S == pytest.approx(offset, abs=0.1 / max(rates))
    assert found.clock.drift_ppm == 0
    assert found.correlation > 0.8
    assert found.windows == 0


@pytest.mark.parametrize("seed", range(4))
def test_jitter_drops_and_repeated_frames(seed):
    generator = np.random.default_rng(seed)
    scene = Shaking(seed)
    taken = [
        np.sort(at(30, 20) + generator.uniform(-0.006, 0.006, 600))[generator.random(600) > 0.05]
        for _ in range(2)
    ]
    ir = list(shifted(scene.frames(taken[0]), offset=0.21))
    for k in generator.integers(1, len(ir), 20):
        ir[k] = (ir[k][0], ir[k - 1][1])  # the camera sends the last frame again
    found = estimate_clock(ir=ir, vis=scene.frames(taken[1]))
    assert found.clock.offset_ns / S == pytest.approx(0.21, abs=0.25 / 30)


def test_different_lengths_and_a_later_start():
    scene = Shaking(2)
    ir = shifted(scene.frames(at(30, 18) + 101.5), offset=-0.3)
    vis = scene.frames(at(30, 30) + 100)
    found = estimate_clock(ir=ir, vis=vis)
    assert found.clock.offset_ns / S == pytest.approx(-0.3, abs=0.1 / 30)


@pytest.mark.parametrize("drift", [-150.0, 300.0])
def test_drift_of_a_long_recording(drift):
    scene = Shaking(3)
    taken = at(20, 300)
    ir = list(shifted(scene.frames(taken, noise=20), offset=0.4, drift_ppm=drift))
    found = estimate_clock(ir=ir, vis=scene.frames(taken, noise=20, seed=1))
    assert found.windows == 14  # the last one is not whole
    assert found.clock.drift_ppm == pytest.approx(drift, abs=15)
    # where frames end up on the visible clock, to a tenth of a frame
    for time, moment in ((ir[0][0], taken[0]), (ir[-1][0], taken[-1])):
        corrected = found.clock.on_visible(time, ir[0][0])
        assert corrected / S == pytest.approx(moment, abs=0.1 / 20)


def test_no_drift_is_made_up():
    scene = Shaking(4)
    ir = shifted(scene.frames(at(20, 150), noise=50), offset=-0.05)
    found = estimate_clock(ir=ir, vis=scene.frames(at(20, 150), noise=50, seed=1))
    assert found.windows == 7
    assert found.clock.drift_ppm == pytest.approx(0, abs=10)
    assert found.clock.offset_ns / S == pytest.approx(-0.05, abs=0.1 / 20)


def test_stretches_without_common_motion_do_not_turn_the_line():
    scene, other = Shaking(5), Shaking(6)
    taken = at(20, 240)
    ir = shifted(scene.frames(taken), offset=0.1, drift_ppm=200)
    vis = [
        b if 60 <= k / 20 < 100 else a
        for k, (a, b) in enumerate(zip(scene.frames(taken), other.frames(taken), strict=True))
    ]
    found = estimate_clock(ir=ir, vis=vis)
    assert found.windows < 12
    assert found.clock.offset_ns / S == pytest.approx(0.1, abs=0.1 / 20)
    assert found.clock.drift_ppm == pytest.approx(200, abs=15)


RATE, DELAY = 10, -0.13


@pytest.fixture(scope="module")
def drive():
    """Infrared and visible motion of a generated drive; the infrared camera is late by DELAY."""
    clip = Clip(1, 0, size=(64, 80), frame_rate=Fraction(RATE), ir_delay=DELAY)
    scenes = [clip.scene(index) for index in range(8 * RATE)]
    stamps = [index * S // RATE for index in range(len(scenes))]
    return (
        motion_energy(zip(stamps, (scene.ir for scene in scenes), strict=True)),
        motion_energy(zip(stamps, (scene.vis for scene in scenes), strict=True)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.08, DELAY, 0.0])
def test_generated_drives_within_a_quarter_of_a_frame(drive, delay):
    ir, vis = drive
    ir = replace(ir, first_ns=ir.first_ns + round((DELAY - delay) * S))
    found = clock_of_motion(ir=ir, vis=vis)
    assert found.clock.offset_ns / S == pytest.approx(delay, abs=0.25 / RATE)


def test_unrelated_recordings_are_refused():
    for seed in range(20):
        ir = Shaking(100 + seed).frames(at(10, 10))
        with pytest.raises(DataError, match=r"does not show their offset .*source\.offset_ms"):
            estimate_clock(ir=ir, vis=Shaking(200 + seed).frames(at(10, 10)))


def test_a_periodic_motion_is_refused():
    beat = [(round(t * S), np.full((4, 4), 100 + 50 * np.sin(6 * t) ** 3, np.float32).astype("u1"))
            for t in at(30, 20)]  # fmt: skip
    with pytest.raises(DataError, match="at the next best place"):
        estimate_clock(ir=beat, vis=beat)


def test_an_offset_out_of_reach_is_refused():
    scene = Shaking(7)
    ir = list(shifted(scene.frames(at(30, 20)), offset=2.7))
    with pytest.raises(DataError, match="within 2 s"):
        estimate_clock(ir=ir, vis=scene.frames(at(30, 20)))


@pytest.mark.parametrize("frames", [0, 1, 2, 100])
def test_short_recordings_are_refused(frames):
    short = [(k * S // 30, np.full((4, 4), k, np.uint8)) for k in range(frames)]
    with pytest.raises(DataError, match=r"visible recording is too short .*source\.offset_ms"):
        estimate_clock(ir=Shaking(8).frames(at(30, 20)), vis=short)


def test_recordings_without_motion_are_refused():
    still = [(k * S // 30, np.full((4, 4), 7, np.uint8)) for k in range(300)]
    with pytest.raises(DataError, match="nothing moves in the infrared"):
        estimate_clock(ir=still, vis=Shaking(8).frames(at(30, 20)))


def test_recordings_of_other_days_are_refused():
    scene = Shaking(9)
    late = [(time + 1000 * S, image) for time, image in scene.frames(at(30, 20))]
    with pytest.raises(DataError, match="does not show"):
        estimate_clock(ir=scene.frames(at(30, 20)), vis=late)


def test_motion_energy_is_the_mean_difference_between_frames():
    images = [np.full((90, 120, 3), level, np.uint8) for level in (10, 14, 14, 8)]
    times = [5 * S, 6 * S, 8 * S, 9 * S]
    motion = motion_energy(zip(times, images, strict=True))
    assert motion.first_ns == 5 * S
    assert motion.seconds.tolist() == [0.5, 2.0, 3.5]
    assert motion.energy.tolist() == [4, 0, 6]


def test_motion_energy_is_of_the_downscaled_luminance():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, 96, 128, 3), np.uint8)
    small = [
        cv2.cvtColor(cv2.resize(i, (64, 48), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        for i in images
    ]
    expected = np.abs(small[1].astype(float) - small[0]).mean()
    assert motion_energy(zip((0, S), images, strict=True)).energy == pytest.approx([expected])


def test_motion_energy_leaves_out_frames_that_go_back():
    images = [np.full((4, 4), level, np.uint8) for level in (1, 2, 99, 99, 4)]
    motion = motion_energy(zip((0, 10, 5, 10, 20), images, strict=True))
    assert motion.energy.tolist() == [1, 2]
    assert all(a < b for a, b in pairwise(motion.seconds))
