"""Runs against each other: differences by hand, and images in any order."""

import json
import shutil

import numpy as np
import pytest
from scipy.stats import norm, t

from common.files import write_json
from eval.bootstrap import draw
from eval.fingerprint import fingerprint
from pipeline.commands.compare import compare, print_report
from tests.helpers import toys
from tests.helpers.runs import DRAWS, run_in
from tests.pipeline.commands.compare.two_runs import IMAGES, edit


def ap(recall):
    """AP of detections that all hit: precision 1 up to their recall, then straight to (1, 0)."""
    x = np.linspace(0, 1, 101)
    y = np.minimum(1, (1 - x) / max(1 - recall, 1e-9))
    return (y[1:] + y[:-1]).sum() / 200 if recall else 0


def by_arm(comparison):
    return {entry["arm"]: entry for entry in comparison["differences"]}


def cells(text, *beginning):
    """The cells of the table row that begins so."""
    rows = [[c.strip() for c in line.strip("│").split("│")] for line in text.splitlines()]
    return next(row for row in rows if row[: len(beginning)] == list(beginning))


def test_differences_by_hand(made):
    comparison = compare([made / "first", made / "second"])
    assert list(by_arm(comparison)) == ["fused", "ir", "vis", "late"]  # not `more`
    fused = by_arm(comparison)["fused"]
    assert (fused["run"], fused["less"]) == ("second", "first")
    assert fused["recall"]["difference"] == pytest.approx(-0.5)
    # the second run finds the images 0, 2, ... 10
    found = [ap(count / IMAGES) for count in draw(IMAGES, DRAWS, 0)[:, ::2].sum(axis=1)]
    level = norm.cdf(np.sqrt(IMAGES / (IMAGES - 1)) * t.ppf(0.025, IMAGES - 1))
    expected = np.quantile(np.array(found) - 0.995, [level, 1 - level])
    assert expected[1] < 0
    for name in ("map50", "map50_95"):
        assert fused[name]["difference"] == pytest.approx(0.75 - 0.995)
        assert fused[name]["ci95"] == pytest.approx(expected.tolist(), abs=1e-9)
        assert fused[name]["verdict"] == "worse"


def test_equal_arms_do_not_differ_at_all(made):
    comparison = compare([made / "first", made / "second"])
    nothing = {"difference": 0, "ci95": [0, 0], "verdict": "no evidence"}
    for arm in ("ir", "vis", "late"):
        entry = by_arm(comparison)[arm]
        for name in ("precision", "recall", "map50", "map50_95"):
            assert entry[name] == nothing


def test_scores_are_those_of_the_results_and_can_be_written(made, tmp_path):
    comparison = compare([made / "first", made / "second"])
    write_json(tmp_path / "c.json", comparison, indent=1)
    assert json.loads((tmp_path / "c.json").read_text()) == comparison
    assert list(comparison["runs"]) == ["first", "second"]
    assert list(comparison["runs"]["second"]["arms"]) == ["fused", "ir", "vis", "late", "more"]
    for name, part in comparison["runs"].items():
        results = json.loads((made / name / "results.json").read_text())
        assert comparison["fingerprint"] == fingerprint(results["protocol"])
        assert part["folder"] == str(made / name)
        for arm, scores in part["arms"].items():
            detection = results["arms"][arm]["detection"]
            assert scores["map50"] == detection["yolo"]["map50"]
            assert scores["coco_map50_95"] == detection["coco"]["map50_95"]
            assert scores["ci95"] == detection["ci95"]


def test_images_pair_by_key_whatever_their_order_and_ids(runs):
    before = compare([runs / "first", runs / "second"])
    ids = {number: 1000 - 7 * number for number in range(1, IMAGES + 1)}

    def turn(data):
        for image in data["images"]:
            image["id"] = ids[image["id"]]
            del image["key"]  # its file's name is its key then
        for label in data["annotations"]:
            label["image_id"] = ids[label["image_id"]]
        data["images"].reverse()
        data["annotations"].reverse()

    def turn_predictions(data):
        for found in data:
            found["image_id"] = ids[found["image_id"]]
        data.reverse()

    edit(runs / "second/ground_truth.json", turn)
    for path in (runs / "second/predictions").iterdir():
        edit(path, turn_predictions)
    after = compare([runs / "first", runs / "second"])
    assert after == before
    turned = by_arm(compare([runs / "second", runs / "first"]))["fused"]["map50"]
    assert turned["difference"] == -by_arm(before)["fused"]["map50"]["difference"]


def test_three_runs_are_held_against_the_first_that_has_the_arm(runs):
    shutil.copytree(runs / "second", runs / "third")
    comparison = compare([runs / name for name in ("first", "second", "third")])
    pairs = [(entry["arm"], entry["run"], entry["less"]) for entry in comparison["differences"]]
    arms = ("fused", "ir", "vis", "late")
    both = [(arm, name, "first") for arm in arms for name in ("second", "third")]
    assert pairs == [*both, ("more", "third", "second")]


def test_folders_of_one_name_go_by_their_paths(runs, monkeypatch):
    shutil.copytree(runs / "second", runs / "again" / "first")
    monkeypatch.chdir(runs)
    folders = [runs / "first", runs / "again/first", runs / "second"]
    relative = [folder.relative_to(runs) for folder in folders]
    assert list(compare(relative)["runs"]) == ["first", "again/first", "second"]


def test_notes_say_what_else_differs(runs):
    def change(results):
        results["protocol"]["compute"]["dtype"] = "other"
        results["protocol"]["perturb"] = {"ir_noise": 20.0}
        results["warnings"].append("mind the gap")

    edit(runs / "second/results.json", change)
    shutil.copytree(runs / "second", runs / "third")
    comparison = compare([runs / name for name in ("first", "second", "third")])
    dtype = json.loads((runs / "first/results.json").read_text())["protocol"]["compute"]["dtype"]
    assert comparison["notes"] == [
        "perturb.ir_noise is absent in first, 20.0 in second and third",
        "arms.fused.kind is maximum in first, vis_only in second and third",
        f"compute.dtype is {dtype} in first, other in second and third",
    ]
    few = "12 images with labels are few: 95% intervals are too narrow"
    assert comparison["warnings"] == [few, "second, third: mind the gap"]


def test_the_tables(made, capsys):
    comparison = compare([made / "first", made / "second"])
    print_report(comparison)
    text = capsys.readouterr().out
    assert text.startswith(
        f"Fingerprint {comparison['fingerprint']}: all runs have the same 12 images and their "
        "labels, classes, detector and settings\n"
        "Detector: bright box (none, weights 0), conf 0.0, NMS IoU 0.5; P, R, mAP: YOLO conv"
    )
    assert cells(text, "first", "fused")[2:5] == ["1.000", "1.000", "0.995 0.995…0.995"]
    row = cells(text, "second", "fused")
    assert row[2:4] == ["1.000", "0.500"]
    assert row[4].startswith("0.750 ")
    assert cells(text, "second", "more")[:2] == ["second", "more"]
    row = cells(text, "fused", "second − first")
    assert row[2].startswith("-0.245 -")
    assert cells(text, "vis", "second − first")[2:] == [
        "+0.000 +0.000…+0.000", "no evidence", "+0.000 +0.000…+0.000", "no evidence",
    ]  # fmt: skip
    assert "Warning: 12 images with labels are few" in text
    assert text.endswith("Note: arms.fused.kind is maximum in first, vis_only in second\n")
    assert max(map(len, text.splitlines())) <= 120


def test_runs_without_a_common_arm(runs, capsys):
    def rename(results):
        results["arms"] = {"alone": results["arms"]["fused"]}
        results["comparisons"] = {}

    edit(runs / "second/results.json", rename)
    (runs / "second/predictions/fused.json").rename(runs / "second/predictions/alone.json")
    comparison = compare([runs / "first", runs / "second"])
    assert comparison["differences"] == []
    print_report(comparison)
    assert "there are no differences to show" in capsys.readouterr().out


def test_one_image_has_no_intervals(here, capsys):
    root = toys.write_pairs(here / "pairs", 1)
    for name in ("a", "b"):
        run_in(here / name, root)
    comparison = compare([here / "a", here / "b"])
    entry = by_arm(comparison)["fused"]["map50"]
    assert entry == {"difference": 0, "ci95": None, "verdict": None}
    print_report(comparison)
    assert cells(capsys.readouterr().out, "fused", "b − a")[2:] == ["+0.000", "–", "+0.000", "–"]
