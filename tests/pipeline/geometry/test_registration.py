"""Calibration files, and infrared images on the visible grid."""

import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from common.errors import DataError
from eval.labels import Labels
from pipeline.frames import Frame, FramePair
from pipeline.geometry.registration import (
    Calibration,
    Made,
    Register,
    Residual,
    corners,
    project,
    read,
    write,
)

RNG = np.random.default_rng(0)
IR = RNG.integers(1, 256, (40, 50), dtype=np.uint8)
VIS = RNG.integers(0, 256, (80, 100, 3), dtype=np.uint8)
TURNED = ((1.9, 0.12, 2.0), (-0.1, 2.05, 1.5), (2e-4, -1e-4, 1.0))
GOOD = {
    "schema": 1,
    "homography": [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]],
    "ir_size": [40, 50],
    "vis_size": [80, 100],
}


def calibration(homography=TURNED, ir_size=(40, 50), vis_size=(80, 100)):
    return Calibration(schema=1, homography=homography, ir_size=ir_size, vis_size=vis_size)


def register(ir, **wanted):
    pair = FramePair("000", Frame(ir, 7, 3), Frame(VIS, 8, 4))
    return Register(calibration(**wanted))(pair)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_are_where_the_homography_maps_them(dtype):
    ir = RNG.integers(1, np.iinfo(dtype).max, (40, 50), dtype=dtype)
    result = register(ir).whole().ir.image
    assert (result.dtype, result.shape) == (dtype, (80, 100))
    ys, xs = np.mgrid[:80, :100]
    x, y = project(np.linalg.inv(np.array(TURNED)), np.column_stack([xs.ravel(), ys.ravel()])).T
    plain = map_coordinates(ir.astype(float), [y, x], order=1, mode="nearest")
    inside = (x > -0.45) & (x < 49.45) & (y > -0.45) & (y < 39.45)
    outside = (x < -0.55) | (x > 49.55) | (y < -0.55) | (y > 39.55)
    error = np.abs(result.ravel()[inside] - plain[inside])
    # OpenCV may weigh the neighbours by 32nds of a pixel
    assert error.max() <= np.iinfo(dtype).max / 16
    assert error.mean() <= np.iinfo(dtype).max / 200
    assert not result.ravel()[outside].any()
    assert outside.any()


def test_a_whole_shift_is_exact_and_the_rest_is_black():
    result = register(IR, homography=((1, 0, 3), (0, 1, 5), (0, 0, 1))).whole().ir.image
    assert np.array_equal(result[5:45, 3:53], IR)
    assert not result[:5].any()
    assert not result[:, 53:].any()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 49), min_size=2, max_size=2, unique=True), st.integers(0, 37))
def test_labels_are_carried_as_the_pixels_in_them(columns, top):
    left, right = sorted(columns)
    box = np.array([[left, top, right, top + 3]], np.float64)
    carried = Register(calibration()).labels(Labels(box, np.array([2]), box))
    ys, xs = np.mgrid[:80, :100]  # which visible pixels' centres come from inside of the box?
    x, y = project(np.linalg.inv(np.array(TURNED)), np.column_stack([xs.ravel(), ys.ravel()])).T
    inside = (x + 0.5 > left) & (x + 0.5 < right) & (y + 0.5 > top) & (y + 0.5 < top + 3)
    if not inside.any():
        return
    assert carried.class_id.tolist() == [2]
    assert np.array_equal(carried.ignore, carried.xyxy)
    xs, ys = xs.ravel()[inside], ys.ravel()[inside]
    around = [xs.min() + 0.5, ys.min() + 0.5, xs.max() + 0.5, ys.max() + 0.5]
    beyond = (carried.xyxy[0] - around) * [-1, -1, 1, 1]
    assert (beyond >= 0).all()  # all of them are in it
    assert (beyond < 4).all()  # and it reaches no further than to the nearest pixels outside


def test_covered_is_what_infrared_pixels_lie_on():
    shift = Register(calibration(homography=((1, 0, 3), (0, 1, 5), (0, 0, 1))))
    wanted = np.zeros((80, 100), np.bool_)
    wanted[5:45, 3:53] = True
    assert np.array_equal(shift.covered, wanted)
    twice = Register(calibration(homography=GOOD["homography"]))
    assert twice.covered.all()  # to the outer half of the border's pixels


def test_the_border_does_not_fade():
    ir = np.full((40, 50), 200, np.uint8)
    assert (register(ir, homography=GOOD["homography"]).whole().ir.image == 200).all()


def test_colour_files_and_what_belongs_to_a_frame_stay():
    colour = np.repeat(IR[:, :, None], 3, axis=2)
    pair = register(colour)
    assert np.array_equal(pair.ir.image[:, :, 1], register(IR).ir.image)
    assert (pair.key, pair.ir.timestamp_ns, pair.ir.index) == ("000", 7, 3)
    assert pair.vis.image is VIS
    assert pair.problem() is None


def test_a_missing_frame_stays_missing():
    stage = Register(calibration())
    alone = FramePair("000", None, Frame(VIS, 8, 4))
    assert stage(alone) is alone
    alone = stage(FramePair("000", Frame(IR, 7, 3), None))
    assert alone.vis is None
    assert alone.ir.size == (80, 100)


def test_other_sizes_are_refused_with_both_named():
    with pytest.raises(DataError, match=r"pair 000: the infrared image has 50x39.* for 50x40"):
        register(IR[1:])
    with pytest.raises(DataError, match=r"the visible image has 100x80.* for 90x80"):
        register(IR, vis_size=(80, 90))


def test_corners_are_pixel_centres():
    assert corners((3, 5)).tolist() == [[0, 0], [4, 0], [4, 2], [0, 2]]
    seen = project(np.array(TURNED), corners((40, 50)))
    wanted = cv2.perspectiveTransform(corners((40, 50))[None], np.array(TURNED))[0]
    np.testing.assert_allclose(seen, wanted)


NUMBERS = st.floats(-0.05, 0.05)


@settings(deadline=None, max_examples=50)
@given(
    noise=st.lists(NUMBERS, min_size=6, max_size=6),
    tilt=st.tuples(st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4)),
    sizes=st.tuples(*[st.integers(60, 2000)] * 4),
    scale=st.floats(0.1, 10) | st.floats(-10, -0.1),
    residual=st.none() | st.tuples(st.floats(0, 50), st.floats(0, 50)),
    used=st.integers(0, 40),
)
def test_what_is_written_is_read_back(tmp_path_factory, noise, tilt, sizes, scale, residual, used):
    a, b, c, d, e, f = noise
    ratio = sizes[3] / sizes[1], sizes[2] / sizes[0]
    rows = np.array([[ratio[0] + a, b, c], [d, ratio[1] + e, f], [*tilt, 1]]) * scale
    made = Made(
        by="test",
        model="homography",
        pairs=40,
        used=used,
        residual_px=None if residual is None else Residual(median=residual[0], p95=residual[1]),
    )
    whole = Calibration(
        schema=1, homography=rows.tolist(), ir_size=sizes[:2], vis_size=sizes[2:], made=made
    )
    path = tmp_path_factory.mktemp("calibration") / "calibration.json"
    write(path, whole)
    assert read(path) == whole
    assert np.array_equal(read(path).matrix, rows)


def test_the_file_is_plain(tmp_path):
    path = tmp_path / "calibration.json"
    write(path, calibration(homography=GOOD["homography"]))
    assert json.loads(path.read_text()) == {**GOOD, "made": None}


def changed(**parts):
    return json.dumps({**GOOD, **parts})


NAN = '{"schema": 1, "homography": [[NaN, 0, 0], [0, 1, 0], [0, 0, 1]], "ir_size": [40, 50], '
NAN += '"vis_size": [80, 100]}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100000, "cannot be read as JSON"),
        ("[]", "not a calibration"),
        (json.dumps({k: v for k, v in GOOD.items() if k != "schema"}), "schema: Field required"),
        (changed(schema=2), "schema: Input should be 1"),
        (changed(extra=1), "extra: Extra inputs are not permitted"),
        (changed(homography=[[1, 0], [0, 1]]), "homography"),
        (changed(homography=[[1, 0, 0]] * 2), "homography"),
        (changed(homography="identity"), "homography"),
        (NAN, "homography.0.0"),
        (NAN.replace("NaN", "Infinity"), "homography.0.0"),
        (NAN.replace("NaN", "1e300"), "homography.0.0"),
        (changed(homography=[[0, 0, 0]] * 3), "can't be inverted"),
        (changed(homography=[[1, 2, 0], [2, 4, 0], [0, 0, 1]]), "can't be inverted"),
        (changed(homography=[[1, 0, 0], [0, 1, 0], [-0.03, 0, 1]]), "behind the camera"),
        (changed(homography=[[1, 0, 200], [0, 1, 0], [0, 0, 1]]), "no infrared pixel into the 100"),
        (changed(ir_size=[0, 50]), "ir_size.0"),
        (changed(ir_size=[40.5, 50]), "ir_size.0"),
        (changed(vis_size=[80]), "vis_size.1"),
        (changed(made={"by": "x", "residual_px": {"median": -1, "p95": 1}}), "residual_px.median"),
        (changed(made={"by": "x", "model": "spline"}), "made.model"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as refusal:
        read(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_no_file_a_folder_and_bytes(tmp_path):
    with pytest.raises(DataError, match=r"no such calibration; irvis calibrate makes one"):
        read(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "bytes.json")
    with pytest.raises(DataError, match="cannot be written"):
        write(tmp_path / "none" / "calibration.json", calibration())
