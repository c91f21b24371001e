"""A camera that goes black or still: the fallback, and its end."""

import csv
import json

import cv2
import numpy as np
import pytest

from common.errors import DataError
from tests.end_to_end.faulty_runs import QUIET, settings
from tests.helpers.runs import execute

pytestmark = pytest.mark.usefixtures("frequent_checkpoints", "guarded")

# --- a camera dies, and the other goes on ---

DEAD = {
    "black": ({"black": [10, 20]}, "shows one level all over", range(10, 20)),
    "frozen": ({"frozen": [0, 20]}, "has shown the same picture", range(9, 20)),
    "stopped": ({"end": 5}, "has given no frame for", range(15, 30)),
    "torn": ({"torn": 5}, "has given no frame for", range(15, 30)),
}


@pytest.mark.parametrize("fault", list(DEAD))
@pytest.mark.parametrize("camera", ["ir", "vis"])
def test_fused_falls_back_to_the_camera_that_survives(here, camera, fault):
    faults, why, dead = DEAD[fault]
    other = "vis" if camera == "ir" else "ir"
    sinks = {**QUIET, "saved": {"kind": "images"}}
    outcome = execute(settings(here, sinks=sinks, frames=30, **{camera: faults}))
    frames = outcome.summary.frames
    assert frames["fallback"] == len(dead)
    stopped = fault in ("stopped", "torn")
    assert frames["paired"] == (5 if stopped else 30 - len(dead))
    assert frames["unpaired"] == (10 if stopped else 0)
    assert frames["failed"] == (fault == "torn")
    lines = [json.loads(line) for line in (outcome.folder / "log.jsonl").read_text().splitlines()]
    with (outcome.folder / "ledger.csv").open(newline="") as file:
        rows = {row["key"]: row for row in csv.DictReader(file) if row["status"] == "fallback"}
    prefix = "ir_" if stopped and camera == "vis" else ""
    assert list(rows) == [f"{prefix}{moment:06d}" for moment in dead]
    for key, row in rows.items():
        assert why in row["reason"]
        assert {"ir": "infrared", "vis": "visible"}[camera] in row["reason"]
        assert row[f"{other}_frame"] == key.removeprefix("ir_").lstrip("0")
        assert (row[f"{camera}_frame"] == "") == stopped
    for line in lines:
        seen, key = line["detections"], line["key"]
        images = {
            arm: cv2.imread(str(outcome.folder / "saved" / arm / f"{key}.png"))
            for arm in ("fused", "ir", "vis")
        }
        if key in rows:
            assert np.array_equal(images["fused"], images[other])
            assert images["fused"].any()
            assert not images[camera].any()
            assert seen[camera] == []
            assert seen["fused"] == seen[other] == seen["late"]
        else:
            assert images[camera].any()
    assert any(line["detections"]["late"] for line in lines if line["key"] in rows)


@pytest.mark.parametrize("camera", ["ir", "vis"])
def test_a_dead_camera_ends_a_run_that_is_to_fail(here, camera):
    with pytest.raises(DataError, match=r"pair 000010: the .* camera shows one level all over"):
        execute(settings(here, on_bad_pair="fail", **{camera: {"black": [10, 20]}}))


def test_both_cameras_black_are_a_dark_night_and_no_fallback(here):
    dark = {"black": [5, 10]}
    frames = execute(settings(here, ir=dark, vis=dark)).summary.frames
    assert (frames["paired"], frames["fallback"]) == (20, 0)
