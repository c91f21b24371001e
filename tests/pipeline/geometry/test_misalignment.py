"""How far two images are apart: known shifts, known blindness."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.geometry.misalignment import TELLING, best, misalignment
from pipeline.images import to_grey
from scenes.climate import Conditions
from scenes.render import Clip
from tests.scenes.clips import painted

MARGIN = 24


@pytest.fixture(scope="module")
def drive():
    """Three moments of a day and of a night, 320x256: (infrared, visible luminance)."""
    pairs = []
    for time in ("day", "night"):
        clip = painted(Clip(3, 0, size=(256, 320), frame_rate=1, conditions=Conditions(time)))
        scenes = [clip.scene(index) for index in (0, 2, 4)]
        pairs += [(scene.ir, to_grey(scene.vis)) for scene in scenes]
    return pairs


def texture(seed, size=(200, 260)):
    """Blobs of all sizes, uint8."""
    noise = np.random.default_rng(seed).standard_normal(size, np.float32)
    rough = cv2.GaussianBlur(noise, (0, 0), 3)
    return np.clip(128 + 60 * rough / rough.std(), 0, 255).astype(np.uint8)


def shifted(ir, vis, dx, dy):
    """Views of both of one size; the infrared one shows everything dx further right, dy lower."""
    height, width = vis.shape
    cut = ir[MARGIN - dy : height - MARGIN - dy, MARGIN - dx : width - MARGIN - dx]
    return cut, vis[MARGIN:-MARGIN, MARGIN:-MARGIN]


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (5, -3), (-11, 7), (16, 0)])
def test_known_shifts_of_drives(drive, dx, dy):
    for ir, vis in drive:
        ir, vis = shifted(ir, vis, dx, dy)
        found = misalignment(ir=ir, vis=vis)
        assert math.hypot(found.dx - dx, found.dy - dy) < 1
        assert found.response > TELLING


@settings(deadline=None, max_examples=25)
@given(dx=st.integers(-13, 13), dy=st.integers(-13, 13), negative=st.booleans())
def test_known_shifts_of_a_texture_and_its_negative(dx, dy, negative):
    image = texture(0)
    ir, vis = shifted(255 - image if negative else image, image, dx, dy)
    found = misalignment(ir=ir, vis=vis)
    assert (found.dx, found.dy) == pytest.approx((dx, dy), abs=0.25)
    assert found.response > 0.5


@pytest.mark.parametrize(("dx", "dy"), [(0.5, 0), (-2.25, 1.75)])
def test_parts_of_a_pixel(dx, dy):
    image = texture(1)
    moved = cv2.warpAffine(image, np.array([[1, 0, dx], [0, 1, dy]]), image.shape[::-1])
    found = misalignment(ir=moved, vis=image)
    assert (found.dx, found.dy) == pytest.approx((dx, dy), abs=0.2)


def test_a_large_image_is_measured_in_its_own_pixels():
    image = cv2.resize(texture(2), None, fx=5, fy=5)
    found = misalignment(ir=image[:, :-40], vis=image[:, 40:])
    assert (found.dx, found.dy) == pytest.approx((40, 0), abs=1.5)


def test_what_has_no_edge_has_no_shift(drive):
    black = np.zeros_like(drive[0][0])
    for ir, vis in ((black, drive[0][1]), (drive[0][0], black), (black, black)):
        found = misalignment(ir=ir, vis=vis)
        assert (math.isnan(found.dx), math.isnan(found.dy), found.response) == (True, True, 0)


def test_a_dark_image_and_an_unrelated_one_tell_nothing(drive):
    ir = drive[0][0]
    dark = np.random.default_rng(0).normal(6, 2, ir.shape).clip(0).astype(np.uint8)
    for vis in (dark, texture(3, ir.shape)):
        assert misalignment(ir=ir, vis=vis).response < TELLING


def test_a_shift_beyond_the_reach_tells_nothing():
    image = texture(4, (240, 320))
    assert misalignment(ir=image[:, :-60], vis=image[:, 60:]).response < TELLING


def test_the_edge_of_what_is_covered_is_no_edge():
    image = texture(5)
    covered = np.zeros(image.shape, np.bool_)
    covered[30:170, 40:220] = True
    faint = 100 + image // 20  # under the noise, against a margin that is black
    ir = np.where(covered, faint, 0).astype(np.uint8)
    vis = np.roll(np.where(covered, 200, 0).astype(np.uint8), 6, axis=1)
    assert misalignment(ir=ir, vis=vis).dx == pytest.approx(-6, abs=0.5)
    assert misalignment(ir=ir, vis=vis, covered=covered).response < TELLING
    ir = np.where(covered, np.roll(image, 4, axis=1), 0).astype(np.uint8)
    assert misalignment(ir=ir, vis=image, covered=covered).dx == pytest.approx(4, abs=0.3)


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
def test_any_two_images_give_a_shift_within_reach_and_a_share(height, width, seeds):
    ir, vis = (
        np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8) for seed in seeds
    )
    before = ir.copy(), vis.copy()
    found = misalignment(ir=ir, vis=vis)
    assert 0 <= found.response <= 1
    reach = max(1, round(max(height, width) / 16)) + 1
    assert math.isnan(found.dx) or max(abs(found.dx), abs(found.dy)) <= reach
    again = misalignment(ir=ir, vis=vis)
    assert again == found or math.isnan(found.dx)
    assert np.array_equal(ir, before[0])
    assert np.array_equal(vis, before[1])


def test_the_best_peak_leads_the_next_one():
    surface = np.zeros((30, 30), np.float32)
    surface[10, 12], surface[10, 13] = 0.8, 0.8  # one peak, its top between the two
    surface[20, 20] = 0.3
    x, y, lead = best(surface)
    assert (x, y, lead) == pytest.approx((12.5, 10, 0.5))


def test_sizes_must_be_equal():
    with pytest.raises(ValueError, match="of one size"):
        misalignment(ir=texture(0)[1:], vis=texture(0))
