"""The scores of a run, by hand and by pycocotools."""

import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pipeline.commands import quality
from tests.helpers import toys
from tests.helpers.runs import execute, read_json


def test_scores_by_hand(toy_run):
    """IR shows all six objects, VIS three of them; every box found is exact."""
    arms = toy_run.results["arms"]
    yolo = {arm: part["detection"]["yolo"] for arm, part in arms.items()}
    assert yolo["ir"]["map50"] == pytest.approx(0.995)  # the curve's end at (1, 0) costs 1/200
    assert yolo["fused"]["recall"] == pytest.approx(1)
    assert yolo["late"]["map50_95"] == pytest.approx(yolo["ir"]["map50_95"])
    assert yolo["vis"]["recall"] == pytest.approx(0.5)
    assert yolo["vis"]["precision"] == pytest.approx(1)
    assert arms["vis"]["detection"]["coco"]["map50"] == pytest.approx(51 / 101)


def test_intervals_verdicts_and_attribution_by_hand(tmp_path, monkeypatch):
    """VIS misses every other object; fused, the maximum, finds all of them, as IR does."""
    monkeypatch.chdir(tmp_path)
    results = execute(toys.settings(toys.write_pairs(tmp_path / "twelve", 12))).results
    assert results["protocol"]["baselines"] == {"ir": "ir", "vis": "vis"}
    recall = results["comparisons"]["fused"]["vis"]["recall"]
    assert recall["difference"] == pytest.approx(0.5)
    assert recall["verdict"] == "better"
    assert 0 < recall["ci95"][0] < 0.5 < recall["ci95"][1] <= 1
    assert results["comparisons"]["vis"]["fused"]["recall"]["verdict"] == "worse"
    assert results["comparisons"]["fused"]["ir"]["map50"] == {
        "difference": 0.0, "ci95": [0.0, 0.0], "verdict": "no evidence",
    }  # fmt: skip
    assert list(results["attribution"]) == ["fused", "late"]
    counts = results["attribution"]["fused"]["confidence"]["counts"]
    counts = {g: {name: n for name, n in row.items() if n} for g, row in counts.items()}
    # 20 x 12 pixels are small; a bright box in VIS lifts the pair's luminance over 55
    every = {"kept_ir": 6, "kept_both": 6}
    assert counts == {
        "all": every, "person": every, "small": every, "day": {"kept_both": 6},
        "night": {"kept_ir": 6},
    }  # fmt: skip
    assert results["leaked"] == {}
    assert results["warnings"] == ["12 images with labels are few: 95% intervals are too narrow"]


def test_quality_of_a_run_is_that_of_its_saved_images(pairs):
    settings = toys.settings(pairs, evaluation={"quality": True})
    settings["sinks"]["saved"] = {"kind": "images", "arms": ["fused"]}
    outcome = execute(settings)
    saved = outcome.folder / "saved" / "fused"
    measured = quality.measure(pairs / "ir", pairs / "vi", saved, lambda done, total: None)
    table = pd.read_csv(
        outcome.folder / "quality.csv", index_col=("arm", "key"), dtype={"key": str}
    )
    pd.testing.assert_frame_equal(table.loc["fused"], measured, rtol=1e-12)
    means = outcome.results["arms"]["fused"]["quality"]
    assert means["en"] == pytest.approx(measured["en"].mean())
    assert means["ms_ssim"] is None  # the pairs are smaller than its windows
    assert outcome.results["arms"]["late"]["quality"] == {}
    correlation = outcome.results["quality_correlation"]
    assert list(correlation) == ["fused"]
    gain = pd.Series([0.0, 0.5] * 3)  # F1 1 in fused and IR; VIS finds every other object
    rho = measured["en"].reset_index(drop=True).rank().corr(gain.rank())
    assert correlation["fused"]["en"]["rho"] == pytest.approx(rho)
    assert correlation["fused"]["en"]["images"] == 6


def test_a_single_image_has_no_interval(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = toys.write_pairs(tmp_path / "one", 1)
    results = execute(toys.settings(root)).results
    assert results["arms"]["fused"]["detection"]["yolo"]["map50"] == pytest.approx(0.995)
    assert set(results["arms"]["fused"]["detection"]["ci95"].values()) == {None}
    assert results["comparisons"]["fused"]["vis"]["map50"] == {
        "difference": 0.0, "ci95": None, "verdict": None,
    }  # fmt: skip
    assert results["warnings"] == ["a single image with labels gives no intervals"]


def test_labels_whose_ids_mean_another_class_are_said(pairs):
    for path in (pairs / "labels").iterdir():
        path.write_text("2" + path.read_text()[1:])
    results = execute(toys.settings(pairs)).results
    assert results["arms"]["fused"]["detection"]["yolo"]["map50"] == 0
    # infrared, fused and late find all six, visible three
    assert results["warnings"][-1].startswith(
        "all 21 detections over 0.25 on labels of car are of other classes, most of person"
    )


def test_labels_of_no_class_that_counts(pairs):
    for path in (pairs / "labels").iterdir():
        path.write_text("1 0.5 0.5 0.2 0.2\n")
    outcome = execute(toys.settings(pairs))
    yolo = outcome.results["arms"]["fused"]["detection"]["yolo"]
    assert (yolo["map50"], yolo["labels"], yolo["images"]) == (None, 0, 6)
    assert set(outcome.results["arms"]["fused"]["detection"]["ci95"].values()) == {None}
    assert outcome.results["comparisons"] == {}
    assert outcome.results["warnings"] == [
        "no object of the classes that count is labelled: no score is defined",
        "6 of 6 labelled objects are of classes that don't count (6 bicycle): name those that are "
        "to count in evaluation.classes, or map source.class_map",
    ]
    assert "nan" not in (outcome.folder / "results.csv").read_text().lower()


def test_pycocotools_repeats_the_runs_own_numbers(toy_run):
    folder = toy_run.folder
    for arm, part in read_json(folder / "results.json")["arms"].items():
        truth = COCO(str(folder / "ground_truth.json"))
        found = truth.loadRes(str(folder / "predictions" / f"{arm}.json"))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        coco = part["detection"]["coco"]
        assert coco["map50_95"] == pytest.approx(evaluation.stats[0], abs=1e-12)
        assert coco["map50"] == pytest.approx(evaluation.stats[1], abs=1e-12)


def test_other_arms_and_sinks_change_nothing(pairs):
    alone = toys.settings(pairs)
    alone["arms"] = {"fused": alone["arms"]["fused"]}
    alone["sinks"] = {"results": {"kind": "results"}, "pictures": {"kind": "images"}}
    one, many = execute(alone), execute(toys.settings(pairs))
    name = "predictions/fused.json"
    assert (one.folder / name).read_bytes() == (many.folder / name).read_bytes()
    assert one.results["arms"]["fused"] == many.results["arms"]["fused"]


def test_saved_images_score_the_same_as_a_folder_arm(pairs):
    settings = toys.settings(pairs)
    settings["sinks"]["saved"] = {"kind": "images", "arms": ["fused"]}
    first = execute(settings)
    arm = {"kind": "folder", "root": str(first.folder / "saved" / "fused")}
    second = execute(toys.settings(pairs, arms={"theirs": arm}))
    assert second.results["arms"]["theirs"] == first.results["arms"]["fused"]


def test_no_labels_is_no_score(here):
    root = toys.write_pairs(here / "pairs", labels=False)
    outcome = execute(toys.settings(root))
    assert [part["detection"] for part in outcome.results["arms"].values()] == [None] * 4
    assert len(read_json(outcome.folder / "predictions" / "ir.json")) == 6
    truth = read_json(outcome.folder / "ground_truth.json")
    assert (len(truth["images"]), truth["annotations"]) == (6, [])
