"""Two cameras that aren't aligned: an arm that shows one alone is scored on that camera's boxes."""

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from common.errors import ConfigError, DataError
from eval.comparison import STATISTICS
from pipeline.commands.evaluate import evaluate
from tests.helpers import misaligned
from tests.helpers.misaligned import HEIGHT, PAIRS, WIDTH, box, labelled, own, settings
from tests.helpers.runs import execute, files, read_json


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    misaligned.write(tmp_path)
    return tmp_path


def coco_map(camera, predictions, ignore=()):
    """COCO AP and AP@.5 by pycocotools, on the boxes that this test drew."""
    boxes = [(i, b, 0) for i in range(PAIRS) for b in labelled(camera, i)]
    annotations = [
        {"id": n, "image_id": i + 1, "category_id": 0, "bbox": b, "area": b[2] * b[3], "iscrowd": c}
        for n, (i, b, c) in enumerate([*boxes, *ignore], 1)
    ]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i + 1, "width": WIDTH, "height": HEIGHT} for i in range(PAIRS)],
        "annotations": annotations,
        "categories": [{"id": 0, "name": "person"}],
    }
    truth.createIndex()
    judged = COCOeval(truth, truth.loadRes(str(predictions)), "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    return judged.stats[0], judged.stats[1]


def drawn(folder, name):
    """Image and box of each label in a file that the run wrote, without regions to ignore."""
    items = read_json(folder / name)["annotations"]
    return [(item["image_id"] - 1, *item["bbox"]) for item in items if not item["iscrowd"]]


def test_each_arm_is_scored_on_its_own_labels():
    outcome = execute(own("run"))
    results, folder = outcome.results, outcome.folder
    truths = {"fused": "pair", "ir": "ir", "vis": "vis", "late": "pair"}
    for arm, camera in truths.items():
        part = results["arms"][arm]["detection"]
        by_pycocotools = coco_map(camera, folder / "predictions" / f"{arm}.json")
        assert (part["coco"]["map50_95"], part["coco"]["map50"]) == pytest.approx(by_pycocotools)
        assert part["yolo"]["labels"] == (8 if camera == "pair" else 7)
        truth = folder / f"ground_truth{'' if camera == 'pair' else f'_{camera}'}.json"
        again = evaluate(folder / f"predictions/{arm}.json", truth)["arms"][arm]["detection"]
        assert (again["yolo"], again["ci95"]) == (part["yolo"], part["ci95"])
    assert results["arms"]["ir"]["detection"]["yolo"]["map50"] > 0.9
    for camera, name in (("pair", ""), ("ir", "_ir"), ("vis", "_vis")):
        wanted = [(i, *b) for i in range(PAIRS) for b in labelled(camera, i)]
        np.testing.assert_allclose(drawn(folder, f"ground_truth{name}.json"), wanted, atol=1e-5)
    assert (outcome.summary.objects, outcome.summary.labelled_objects) == (8, 8)
    assert results["own_labels"] == {
        camera: {
            "arms": [camera], "scored": 7, "labelled": 7, "counted": {"person": 7},
            "not_counted": {}, "notes": [],
        }
        for camera in ("ir", "vis")
    }  # fmt: skip


def test_arms_are_compared_on_the_same_draws_without_outcomes_of_objects():
    results = execute(own("run")).results
    assert results["attribution"] == {}
    assert results["comparisons"].keys() == results["arms"].keys()
    for arm, others in results["comparisons"].items():
        mine = results["arms"][arm]["detection"]["yolo"]
        for other, entry in others.items():
            theirs = results["arms"][other]["detection"]["yolo"]
            for name in STATISTICS:
                assert entry[name]["difference"] == mine[name] - theirs[name]
    assert results["comparisons"]["ir"]["vis"]["recall"]["ci95"] is not None
    alone = execute({**own("alone"), "arms": {"vis": {"kind": "vis_only"}}}).results
    assert alone["arms"]["vis"]["detection"] == results["arms"]["vis"]["detection"]
    assert "no arm shows infrared alone: its own labels judge nothing" in alone["warnings"]


def test_one_camera_of_its_own_and_a_region_to_ignore():
    """COCO's own rule and ours leave the same detection out, and for infrared alone."""
    outcome = execute(settings("run", labels_ir="ir.json", class_map=None))
    found = {
        arm: {item["image_id"] for item in read_json(outcome.folder / f"predictions/{arm}.json")}
        for arm in ("ir", "fused")
    }
    assert found == {"ir": {1, 2, 3, 5, 6, 7, 8}, "fused": {1, 2, 3, 4, 5, 6, 7, 8}}
    part = outcome.results["arms"]["ir"]["detection"]
    judged = coco_map("ir", outcome.folder / "predictions/ir.json", [(3, box("ir", 3), 1)])
    assert (part["coco"]["map50_95"], part["coco"]["map50"]) == pytest.approx(judged)
    assert outcome.results["own_labels"].keys() == {"ir"}
    assert not (outcome.folder / "ground_truth_vis.json").exists()
    vis = outcome.results["arms"]["vis"]["detection"]["coco"]
    assert vis["map50_95"] == pytest.approx(
        coco_map("pair", outcome.folder / "predictions/vis.json")[0]
    )


def test_without_them_nothing_is_different():
    plain = execute(settings("plain"))
    mine = execute(own("own"))
    assert "own_labels" not in plain.results
    assert "own_labels" not in plain.results["protocol"]
    assert not list(plain.folder.glob("ground_truth_*"))
    for name in ("ground_truth.json", "predictions/fused.json", "predictions/late.json"):
        assert (plain.folder / name).read_bytes() == (mine.folder / name).read_bytes()
    parts = [outcome.results["arms"]["fused"]["detection"] for outcome in (plain, mine)]
    assert parts[0] == parts[1]


@pytest.mark.usefixtures("frequent_checkpoints")
@pytest.mark.parametrize("stop", [1, 2])
def test_a_run_that_broke_off_goes_on(stop):
    sinks = {"results": {"kind": "results"}, "page": {"kind": "report"}}
    whole = execute({**own("whole"), "sinks": sinks})
    calls = []

    def on_progress(done, total):
        calls.append(done)
        if len(calls) == stop:
            raise KeyboardInterrupt

    again = {**own("again"), "sinks": sinks, "compute": {"batch": 2}}
    with pytest.raises(KeyboardInterrupt):
        execute(again, on_progress)
    other = {**settings("again", labels_ir="labels_ir"), "run": {"dir": "again", "resume": True}}
    with pytest.raises(ConfigError, match=r"another source\.labels_vis"):
        execute({**other, "sinks": sinks, "compute": {"batch": 2}})
    resumed = execute({**again, "run": {"dir": "again", "resume": True}})
    ours, theirs = files(resumed.folder), files(whole.folder)
    changed = {"config.yaml", "report.html", "results.json"}  # the batch and the name
    assert ours.keys() == theirs.keys()
    assert {name for name in ours if ours[name] != theirs[name]} == changed
    assert resumed.results["arms"] == whole.results["arms"]


@pytest.mark.parametrize("camera", ["ir", "vis"])
def test_the_pair_needs_labels_too(camera):
    with pytest.raises(ConfigError, match=rf"source.*labels_{camera} is for arms.*set labels to"):
        execute(settings("run", labels=None, **{f"labels_{camera}": f"labels_{camera}"}))


@pytest.mark.parametrize("path", ["nothing", "\0", "ir/0.png", "loop", "labels/0.txt"])
def test_paths_that_are_no_labels(data, path):
    (data / "loop").symlink_to("loop")
    with pytest.raises(DataError, match=r"give a COCO|give the folder"):
        execute(settings("run", labels_ir=path))


def test_wrong_labels_of_one_camera_end_the_run_before_it_begins(data):
    (data / "labels_ir/4.txt").write_text("0 9 9 1 1\n")
    with pytest.raises(DataError, match=r"labels_ir/4\.txt"):
        execute(own("run"))
    assert not (data / "run").exists()
    skipped = execute({**own("run"), "run": {"dir": "run", "on_bad_pair": "skip"}}).results
    assert skipped["frames"]["failed"] == 1
    assert skipped["own_labels"]["vis"]["scored"] == 6
    assert skipped["own_labels"]["vis"]["labelled"] == 7
