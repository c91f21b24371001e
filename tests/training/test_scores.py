"""Scores while training are those of a run: same detections, same rules."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import DataError
from pipeline import cli
from scenes.climate import Conditions
from scenes.render import Clip
from tests.helpers.recipes import judged, killed_at
from tests.helpers.runs import silent
from tests.helpers.small_detector import see_little
from training import config, loop
from training.loop import train
from training.scores import Scores

RUN = """
run: {name: plain}
source: {kind: msrs, root: set}
arms: {ir: {kind: ir_only}, vis: {kind: vis_only}, average: {kind: average}, late: {kind: late}}
detector: {kind: yolov5, weights: demo}
compute: {batch: 1}
sinks: {results: {kind: results}}
"""


@pytest.fixture
def street(tmp_path, monkeypatch):
    """Three frames in MSRS's layout; one has a region to ignore and no label."""
    monkeypatch.chdir(tmp_path)
    for name in ("ir", "vi", "labels"):
        (tmp_path / "set" / name).mkdir(parents=True)
    clip = Clip(21, 0, size=(256, 320), frame_rate=10, conditions=Conditions("dusk"))
    for index in range(3):
        scene = clip.scene(15 * index)
        Image.fromarray(scene.ir).save(tmp_path / "set" / "ir" / f"{index}.png")
        Image.fromarray(scene.vis).save(tmp_path / "set" / "vi" / f"{index}.png")
        boxes = scene.labels.xyxy / [320, 256, 320, 256]
        rows = np.column_stack(
            (scene.labels.class_id, (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2])
        )
        lines = [f"{int(row[0])} " + " ".join(f"{v:.6f}" for v in row[1:]) for row in rows]
        text = "\n".join(lines) if index != 2 else ""
        (tmp_path / "set" / "labels" / f"{index}.txt").write_text(text)
    whole = [[0, 0, 320, 256]]
    (tmp_path / "set" / "ignore.json").write_text(json.dumps({"2": whole}))
    return tmp_path


def test_they_are_those_of_a_run(street):
    checked = config.check(
        {
            "data": {"sources": {"none": {"kind": "files", "ir": "set/ir", "vis": "set/vi"}}},
            "detectors": {"demo": {"weights": "demo"}},
            "scores": {"detector": "demo", "sets": {"street": {"kind": "msrs", "root": "set"}}},
        }
    )
    scores = {
        score.arm: score for score in Scores(checked, torch.device("cpu"), torch.float32).plain()
    }
    (street / "plain.yaml").write_text(RUN)
    assert cli.main(["run", "plain.yaml"]) == 0
    results = json.loads((street / "runs" / "plain" / "results.json").read_text())
    for arm in ("average", "late"):
        yolo = results["arms"][arm]["detection"]["yolo"]
        assert scores[arm].value == pytest.approx(yolo["map50"], abs=1e-9)
        assert scores[arm].strict == pytest.approx(yolo["map50_95"], abs=1e-9)
    assert 0.05 < scores["late"].value < 1


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_found")
def test_scores_of_a_labelled_set(here, monkeypatch):
    """The mean and late fusion once; the network every third step and at the end; resumed too."""
    monkeypatch.setattr(loop, "HELD", 2)  # batches of crops at each score
    see_little(monkeypatch)
    for ours, theirs in (("ir", "ir"), ("vi", "vis")):
        (here / "set" / ours).mkdir(parents=True)
        for name in ("0.png", "1.png"):
            (here / "set" / ours / name).symlink_to(here / "pairs" / theirs / name)
    (here / "set" / "labels").mkdir()
    (here / "set" / "labels" / "0.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    sets = {"few": {"kind": "msrs", "root": "set"}}
    scored = {"scores": {"every": 3, "detector": "demo", "sets": sets}}
    whole = train(judged(**scored), silent)
    lines = (whole.folder / "scores.csv").read_text().splitlines()
    assert lines[0] == "step,set,arm,map50,map50_95"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["0", "few", "average"], ["0", "few", "late"],
        ["3", "crops", "loss over the mean's"], ["3", "few", "fused"],
        ["5", "crops", "loss over the mean's"], ["5", "few", "fused"],
    ]  # fmt: skip
    moments = sorted((whole.folder / "moments").iterdir())
    assert [path.name for path in moments] == ["000003.safetensors", "000005.safetensors"]
    assert moments[1].read_bytes() == whole.weights.read_bytes()
    assert moments[0].read_bytes() != whole.weights.read_bytes()
    relative = [float(line.split(",")[3]) for line in lines if "crops" in line]
    assert all(0.5 < value < 1.5 for value in relative)
    with pytest.raises(KeyboardInterrupt):
        train(judged(**scored), killed_at(4))
    again = train(judged(**scored, run__resume=True), silent)
    assert (again.folder / "scores.csv").read_text().splitlines() == lines


@pytest.mark.usefixtures("nothing_found")
def test_a_set_without_labels_is_refused(here):
    (here / "set").mkdir()
    for ours, theirs in (("ir", "ir"), ("vi", "vis")):
        (here / "set" / ours).symlink_to(here / "pairs" / theirs)
    sets = {"few": {"kind": "msrs", "root": "set"}}
    with pytest.raises(DataError, match=r"scores\.sets\.few: has no labels"):
        train(judged(scores={"detector": "demo", "sets": sets}), silent)
