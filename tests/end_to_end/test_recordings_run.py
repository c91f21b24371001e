"""Whole runs on recordings of known shift, scale and clock: what the run folder says of them."""

import json
import math

import cv2
import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from scenes.climate import Conditions
from scenes.render import Clip
from tests.helpers import toys
from tests.helpers.recordings import (
    TWICE,
    boxes,
    calibrate,
    noise,
    record,
    run,
    small_infrared,
    write_small,
)
from tests.helpers.runs import execute, read_csv
from tests.helpers.shaking import Shaking

DX, DY = 9, -5
SKIP = {"name": "run", "on_bad_pair": "skip"}


def test_infrared_of_another_resolution_is_put_on_the_visible_grid(here):
    write_small(here)
    both = {"results": {"kind": "results"}, "saved": {"kind": "images"}}
    outcome = run(
        {}, registration=calibrate(here / "c.json", TWICE, (24, 32), (48, 64)), sinks=both
    )
    assert outcome.results["frames"]["paired"] == 6
    truth = json.loads((outcome.folder / "ground_truth.json").read_text())
    assert {(image["height"], image["width"]) for image in truth["images"]} == {(48, 64)}
    fused = Image.open(outcome.folder / "saved" / "fused" / "000003.png")
    assert fused.size == (64, 48)
    # every infrared pixel became two by two, so that the boxes are known exactly
    for arm in ("fused", "ir", "late"):
        assert boxes(outcome, arm) == {i + 1: [2 * (4 + i), 10, 12, 16] for i in range(6)}
    assert boxes(outcome, "vis") == {}
    assert outcome.results["protocol"]["registration"] == [list(row) for row in TWICE]


def test_two_resolutions_need_a_registration(here):
    write_small(here)
    with pytest.raises(DataError, match=r"no pair.*infrared 32x24 and visible 64x48; register"):
        run({})
    assert list((here / "runs").iterdir()) == []


@pytest.mark.parametrize("dead", ["ir", "vis"])
def test_the_camera_that_goes_on_alone_fills_the_visible_grid(here, dead):
    """The other one stops after 8 frames: 10 frames stand alone, then it counts as dead."""
    write_small(here, 26)
    record(
        here / f"{dead}.mkv",
        [small_infrared(i) if dead == "ir" else noise("vis", i, (48, 64)) for i in range(8)],
    )
    outcome = run(
        {},
        registration=calibrate(here / "c.json", TWICE, (24, 32), (48, 64)),
        sinks={"results": {"kind": "results"}, "saved": {"kind": "images", "arms": ["fused"]}},
    )
    assert outcome.results["frames"] == {
        "paired": 8, "unpaired": 10, "dropped": 0, "failed": 0, "fallback": 8,
    }  # fmt: skip
    saved = sorted((outcome.folder / "saved" / "fused").iterdir())
    assert len(saved) == 16
    rows = read_csv(outcome.folder / "pairs.csv")
    assert [row["dead"] for row in rows] == [""] * 8 + [dead] * 8
    last = np.asarray(Image.open(saved[-1]))
    assert last.shape == (48, 64, 3)
    if dead == "ir":
        assert np.array_equal(last, noise("vis", 25, (48, 64)))
    else:
        assert (last[11:25, 59:] == 255).all()  # the inside of the box, which leaves the image
        assert last[:, :56].max() < 60


def label_infrared(here, count):
    """A box in each infrared frame, by its number."""
    (here / "labels").mkdir()
    for i in range(count):
        x, y, w, h = (4 + i + 3) / 32, (5 + 4) / 24, 6 / 32, 8 / 24
        (here / f"labels/{i}.txt").write_text(f"0 {x} {y} {w} {h}\n")
    return {"labels": "labels", "labels_on": "ir"}


def test_labels_of_infrared_frames_are_carried_to_the_visible_grid(here):
    """Visible begins 200 ms later: its frame i is that of infrared i + 2."""
    write_small(here)
    source = {**label_infrared(here, 6), "offset_ms": -200}
    calibration = calibrate(here / "c.json", TWICE, (24, 32), (48, 64))
    outcome = run(source, registration=calibration, run=SKIP)
    assert outcome.results["frames"]["paired"] == 4
    truth = json.loads((outcome.folder / "ground_truth.json").read_text())
    keys = {image["id"]: image["key"] for image in truth["images"]}
    assert {keys[a["image_id"]]: a["bbox"] for a in truth["annotations"]} == {
        f"{i:06d}": pytest.approx([2 * (4 + i + 2), 10, 12, 16], abs=1e-4) for i in range(4)
    }
    assert outcome.results["arms"]["ir"]["detection"]["yolo"]["map50"] > 0.99
    assert outcome.results["objects"] == {"scored": 4, "labelled": 6}


@pytest.mark.parametrize(("dead", "labelled"), [("ir", 8), ("vis", 20)])
def test_infrared_labels_where_one_camera_goes_on_alone(here, dead, labelled):
    """The frames that infrared has alone have labels, which nothing is scored on."""
    write_small(here, 20)
    record(
        here / f"{dead}.mkv",
        [small_infrared(i) if dead == "ir" else noise("vis", i, (48, 64)) for i in range(8)],
    )
    source = label_infrared(here, labelled)
    calibration = calibrate(here / "c.json", TWICE, (24, 32), (48, 64))
    outcome = run(source, registration=calibration, run=SKIP)
    assert outcome.results["frames"]["paired"] == 8
    assert outcome.results["frames"]["fallback"] == 2
    assert outcome.results["objects"] == {"scored": 8, "labelled": labelled}


def test_a_calibration_of_other_cameras_ends_the_run_with_both_sizes(here):
    write_small(here)
    more = {"registration": calibrate(here / "c.json", TWICE, (24, 32), (96, 128))}
    with pytest.raises(DataError, match="visible image has 64x48, its calibration is for 128x96"):
        run({}, **more)
    with pytest.raises(DataError, match=r"none\.json: no such calibration"):
        run({}, registration={"calibration": "none.json"})
    assert list((here / "runs").iterdir()) == []


@pytest.fixture(scope="module")
def drive():
    """Six moments of a day, 320x256: infrared and visible images."""
    clip = Clip(3, 0, size=(256, 320), frame_rate=1, conditions=Conditions("day"))
    scenes = [clip.scene(index) for index in range(6)]
    return [scene.ir for scene in scenes], [scene.vis for scene in scenes]


def shifts(outcome):
    rows = read_csv(outcome.folder / "pairs.csv")
    assert len(rows) == 6
    return np.array([(float(row["shift_x"]), float(row["shift_y"])) for row in rows])


def test_a_shift_is_measured_and_gone_after_registration(here, drive):
    infrared, visible = drive
    # each view is cut so that infrared shows everything DX further right and DY lower
    record(here / "ir.mkv", [image[16 - DY : 240 - DY, 16 - DX : 304 - DX] for image in infrared])
    record(here / "vis.mkv", [image[16:240, 16:304] for image in visible])
    before = run({}, run={"name": "before"})
    np.testing.assert_allclose(shifts(before), [(DX, DY)] * 6, atol=1)
    apart = before.results["alignment"]
    assert apart["pairs"] == 6
    assert apart["median_px"] == pytest.approx(math.hypot(DX, DY), abs=0.7)
    assert apart["median_px"] <= apart["p95_px"] < 12
    assert "registration" not in before.results["protocol"]
    warned = "infrared and visible images seem to be 10 pixels apart (median): register them first"
    assert any(text.startswith(warned) for text in before.results["warnings"])

    back = ((1, 0, -DX), (0, 1, -DY), (0, 0, 1))
    more = {"registration": calibrate(here / "c.json", back, (224, 288), (224, 288))}
    after = run({}, run={"name": "after"}, **more)
    assert np.abs(shifts(after)).max() < 1
    assert after.results["alignment"]["median_px"] < 0.7
    assert not any("pixels apart" in text for text in after.results["warnings"])
    assert after.results["protocol"]["registration"] == [list(row) for row in back]
    both = [outcome.results["protocol"]["fingerprint"] for outcome in (before, after)]
    assert both[0] != both[1]
    assert boxes(before, "fused") != boxes(after, "fused")
    assert boxes(before, "vis") == boxes(after, "vis")

    faulty = run({}, run={"name": "faulty"}, perturb={"shift": [4, 3]}, **more)
    np.testing.assert_allclose(shifts(faulty), [(4, 3)] * 6, atol=1)


def test_a_known_homography_is_undone(here, drive):
    """A turned and zoomed infrared camera of another resolution, as its calibration says."""
    infrared, visible = drive
    angle = math.radians(2)
    turned = np.array(
        [
            [1.1 * math.cos(angle), -math.sin(angle), 6],
            [math.sin(angle), 1.1 * math.cos(angle), -9],
            [1e-4, -5e-5, 1],
        ]
    )
    there = np.linalg.inv(turned)
    record(here / "ir.mkv", [cv2.warpPerspective(image, there, (330, 250)) for image in infrared])
    record(here / "vis.mkv", visible)
    more = {"registration": calibrate(here / "c.json", turned.tolist(), (250, 330), (256, 320))}
    outcome = run({}, **more)
    assert outcome.results["alignment"]["pairs"] == 6
    assert outcome.results["alignment"]["median_px"] < 0.7
    np.testing.assert_allclose(outcome.results["protocol"]["registration"], turned)


def test_sync_of_recordings_has_offset_drift_and_skew(here):
    write_small(here)
    calibration = calibrate(here / "c.json", TWICE, (24, 32), (48, 64))
    record(here / "vis.mkv", [noise("vis", i, (48, 64)) for i in range(6)], range(207, 900, 100))
    # times count from each file's start: infrared i is at 200 + 100.2 i and meets visible i + 2
    settings = {"offset_ms": 200, "drift_ppm": 2e3}  # 0.2 ms a frame
    sync = run(settings, registration=calibration).results["sync"]
    assert (sync["offset_ms"], sync["drift_ppm"]) == (200, 2000)
    skew = sync["skew"]
    assert skew.pop("pairs") == 4
    wanted = {"mean_ms": -0.3, "std_ms": math.sqrt(5 / 4) / 5, "min_ms": -0.6, "max_ms": 0.0}
    assert skew == pytest.approx(wanted)


def test_sync_of_stills_is_null(pairs):
    outcome = execute(toys.settings(pairs))
    assert outcome.results["sync"] is None
    assert "registration" not in outcome.results["protocol"]


def test_an_offset_that_is_found_is_that_which_was_made(here):
    """Two cameras see the same light shake; infrared times are 330 ms late."""
    moments = np.arange(250) / 25
    scene = Shaking(4)
    for name, seconds in (("ir", moments - 0.33), ("vis", moments)):
        levels = [image.mean() / 100 - 100 for _, image in scene.frames(seconds)]  # about 0 to 200
        images = [
            noise(name, i, (6, 8)) + np.uint8(np.clip(level, 0, 190))
            for i, level in enumerate(levels)
        ]
        record(here / f"{name}.mkv", images, range(0, 10_000, 40))
    sync = run({"offset_ms": "auto"}, sinks={"results": {"kind": "results"}}).results["sync"]
    assert sync["offset_ms"] == pytest.approx(-330, abs=4)
    assert sync["drift_ppm"] == 0
    assert sync["skew"]["pairs"] == 242  # 8.25 frames of infrared have no partner
    assert sync["skew"]["mean_ms"] == pytest.approx(10, abs=4)
