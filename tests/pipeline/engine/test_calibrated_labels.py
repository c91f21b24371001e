"""Cameras of two sizes with a calibration, and labels drawn on either (the shared case 13)."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.config import config
from pipeline.engine import runner
from tests.helpers import toys

TWICE = [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]  # a pixel's centre to that of its 2x2 pixels


def voc(size, *boxes):
    objects = "".join(
        "<object><name>person</name><bndbox>"
        + "".join(
            f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "</bndbox></object>"
        for box in boxes
    )
    width, height = size
    return (
        f"<annotation><size><width>{width}</width><height>{height}</height></size>{objects}"
        "</annotation>"
    )


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Three pairs, visible 320x256 and infrared 160x128; the same objects labelled on both."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("ir", "vis", "labels_ir", "labels_vis"):
        (tmp_path / name).mkdir()
    for key in "012":
        ir = rng.integers(0, 150, (128, 160), np.uint8)
        ir[40:90, 50:70] = 250
        Image.fromarray(ir).save(f"ir/{key}.png")
        Image.fromarray(rng.integers(0, 150, (256, 320, 3), np.uint8)).save(f"vis/{key}.png")
        (tmp_path / f"labels_vis/{key}.xml").write_text(voc((320, 256), (101, 81, 140, 180)))
        (tmp_path / f"labels_ir/{key}.xml").write_text(voc((160, 128), (51, 41, 70, 90)))
    calibrate(TWICE)
    return tmp_path


def calibrate(homography):
    sizes = {"ir_size": [128, 160], "vis_size": [256, 320]}
    content = {"schema": 1, "homography": homography, **sizes}
    Path("cameras.json").write_text(json.dumps(content))


def run(name, **source):
    settings = toys.settings(None)
    settings["run"] = {"dir": name}
    settings["source"] = {
        "kind": "image_folder",
        "ir": "ir",
        "vis": "vis",
        **source,
        "box_origin": 1,
    }
    settings["registration"] = {"calibration": "cameras.json"}
    return runner.run(config.check(settings), lambda done, total: None)


def test_labels_of_both_cameras_give_one_truth(data):
    runs = [
        run("a", labels="labels_vis"),
        run("b", labels="labels_ir", labels_on="ir"),
    ]
    for outcome in runs:
        assert (outcome.summary.frames["paired"], outcome.summary.objects) == (3, 3)
        assert outcome.summary.labelled_objects == 3
        assert outcome.results["arms"]["ir"]["detection"]["yolo"]["map50"] > 0.99
    truths = [json.loads((r.folder / "ground_truth.json").read_text()) for r in runs]
    assert truths[0] == truths[1]
    assert [a["bbox"] for a in truths[0]["annotations"]] == [[100, 80, 40, 100]] * 3


def test_own_labels_are_carried_for_the_arms_of_their_camera(data):
    calibrate([[2, 0, 40.5], [0, 2, 0.5], [0, 0, 1]])  # 40 pixels to the right
    outcome = run("a", labels="labels_vis", labels_ir="labels_ir", labels_vis="labels_vis")
    boxes = {
        name: [a["bbox"] for a in json.loads((outcome.folder / name).read_text())["annotations"]]
        for name in ("ground_truth.json", "ground_truth_ir.json", "ground_truth_vis.json")
    }
    assert boxes["ground_truth_ir.json"] == [[140, 80, 40, 100]] * 3
    assert boxes["ground_truth_vis.json"] == boxes["ground_truth.json"] == [[100, 80, 40, 100]] * 3
    arms = outcome.results["arms"]
    assert arms["ir"]["detection"]["yolo"]["map50"] > 0.99
    assert arms["fused"]["detection"]["yolo"]["map50"] < 0.01  # it shows infrared's box alone
    assert outcome.results["protocol"]["box_origin"] == 1


def test_objects_out_of_sight_are_counted_as_left_out(data):
    calibrate([[2, 0, 200.5], [0, 2, 0.5], [0, 0, 1]])
    (data / "labels_ir/0.xml").write_text(voc((160, 128), (51, 41, 70, 90), (61, 11, 90, 20)))
    (data / "labels_ir/1.xml").write_text(voc((160, 128), (1, 41, 30, 90)))
    (data / "labels_ir/2.xml").write_text(voc((160, 128), (41, 41, 70, 90)))
    outcome = run("c", labels="labels_ir", labels_on="ir")
    assert (outcome.summary.objects, outcome.summary.labelled_objects) == (3, 4)
    truth = json.loads((outcome.folder / "ground_truth.json").read_text())
    boxes = [[300, 80, 20, 100], [200, 80, 60, 100], [280, 80, 40, 100]]  # clipped at 320
    assert [a["bbox"] for a in truth["annotations"]] == boxes
