import csv
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from common.errors import ConfigError, DataError
from pipeline.commands import quality
from pipeline.config import config
from pipeline.engine import runner
from tests.helpers import toys


@pytest.fixture
def _often(monkeypatch):
    """A checkpoint after every batch."""
    monkeypatch.setattr(runner, "CHECKPOINT", 1)


def execute(settings, on_progress=lambda done, total: None):
    return runner.run(config.check(settings), on_progress)


def read(path):
    return json.loads(path.read_text())


def files(folder):
    """Every file's bytes, but for the times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.json"
    }


def rows(folder):
    with (folder / "ledger.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_folder_holds_what_was_promised(pairs):
    outcome = execute(toys.settings(pairs))
    assert str(outcome.folder) == "runs/toy"
    assert sorted(path.name for path in outcome.folder.iterdir()) == [
        "config.yaml", "curves.json", "ground_truth.json", "ledger.csv", "pairs.csv", "predictions",
        "results.csv", "results.json", "timing.json",
    ]  # fmt: skip
    results = read(outcome.folder / "results.json")
    assert results["schema"] == 1
    assert list(results["arms"]) == ["fused", "ir", "vis", "late"]
    assert results["frames"] == {
        "paired": 6, "unpaired": 0, "dropped": 0, "failed": 0, "fallback": 0,
    }  # fmt: skip
    assert results["objects"] == {"scored": 6, "labelled": 6}
    assert results["protocol"]["preset"] == "paper-msrs"
    assert results["protocol"]["detector"]["input_shapes"] == [[48, 64]]


def test_scores_by_hand(pairs):
    """IR shows all six objects, VIS three of them; every box found is exact."""
    arms = execute(toys.settings(pairs)).results["arms"]
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


def test_labels_of_no_class_that_counts(pairs):
    for path in (pairs / "labels").iterdir():
        path.write_text("1 0.5 0.5 0.2 0.2\n")
    outcome = execute(toys.settings(pairs))
    yolo = outcome.results["arms"]["fused"]["detection"]["yolo"]
    assert (yolo["map50"], yolo["labels"], yolo["images"]) == (None, 0, 6)
    assert set(outcome.results["arms"]["fused"]["detection"]["ci95"].values()) == {None}
    assert outcome.results["comparisons"] == {}
    assert outcome.results["warnings"] == [
        "no object of the classes that count is labelled: no score is defined"
    ]
    assert "nan" not in (outcome.folder / "results.csv").read_text().lower()


def test_pycocotools_repeats_the_runs_own_numbers(pairs):
    folder = execute(toys.settings(pairs)).folder
    for arm, part in read(folder / "results.json")["arms"].items():
        truth = COCO(str(folder / "ground_truth.json"))
        found = truth.loadRes(str(folder / "predictions" / f"{arm}.json"))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        coco = part["detection"]["coco"]
        assert coco["map50_95"] == pytest.approx(evaluation.stats[0], abs=1e-12)
        assert coco["map50"] == pytest.approx(evaluation.stats[1], abs=1e-12)


def test_results_csv_has_a_row_per_arm_and_class(pairs):
    folder = execute(toys.settings(pairs)).folder
    with (folder / "results.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["arm"], row["class"]) for row in table] == [
        (arm, name) for arm in ("fused", "ir", "vis", "late") for name in ("all", "person")
    ]


def test_the_same_run_twice_is_the_same_bytes_in_a_new_folder(pairs):
    first, second = execute(toys.settings(pairs)), execute(toys.settings(pairs))
    assert str(second.folder) == "runs/toy-2"
    assert files(first.folder) == files(second.folder)


def test_other_arms_and_sinks_change_nothing(pairs):
    alone = toys.settings(pairs)
    alone["arms"] = {"fused": alone["arms"]["fused"]}
    alone["sinks"] = {"results": {"kind": "results"}, "pictures": {"kind": "images"}}
    one, many = execute(alone), execute(toys.settings(pairs))
    name = "predictions/fused.json"
    assert (one.folder / name).read_bytes() == (many.folder / name).read_bytes()
    assert one.results["arms"]["fused"] == many.results["arms"]["fused"]


def test_config_yaml_runs_again(pairs):
    first = execute(toys.settings(pairs))
    again = runner.run(config.load(first.folder / "config.yaml"), lambda done, total: None)
    assert files(first.folder) == files(again.folder)


def test_saved_images_score_the_same_as_a_folder_arm(pairs):
    settings = toys.settings(pairs)
    settings["sinks"]["saved"] = {"kind": "images", "arms": ["fused"]}
    first = execute(settings)
    arm = {"kind": "folder", "root": str(first.folder / "saved" / "fused")}
    second = execute(toys.settings(pairs, arms={"theirs": arm}))
    assert second.results["arms"]["theirs"] == first.results["arms"]["fused"]


def test_run_dir_names_the_folder(pairs, here):
    (here / "out").mkdir()
    settings = toys.settings(pairs, run={"dir": "out"})
    assert str(execute(settings).folder) == "out"
    assert (here / "out" / "results.json").is_file()
    with pytest.raises(ConfigError, match=r"run\.dir: out is in use"):
        execute(settings)
    assert not (here / "out.partial").exists()


def test_only_fusing_needs_no_detector(pairs):
    settings = toys.settings(pairs, detector=None, sinks={"fused": {"kind": "images"}})
    with pytest.raises(ConfigError, match=r"arms\.late: merges detections"):
        execute(settings)
    settings["arms"]["late"] = None
    outcome = execute(settings)
    assert outcome.results is None
    image = np.asarray(Image.open(outcome.folder / "fused" / "vis" / "000.png"))
    assert np.array_equal(image, np.asarray(Image.open(pairs / "vi" / "000.png")))


def test_no_labels_is_no_score(here):
    root = toys.write_pairs(here / "pairs", labels=False)
    outcome = execute(toys.settings(root))
    assert [part["detection"] for part in outcome.results["arms"].values()] == [None] * 4
    assert len(read(outcome.folder / "predictions" / "ir.json")) == 6
    truth = read(outcome.folder / "ground_truth.json")
    assert (len(truth["images"]), truth["annotations"]) == (6, [])


def break_pairs(root):
    """One fault of each sort, and one good pair left."""
    (root / "vi" / "000.png").unlink()
    whole = (root / "ir" / "001.png").read_bytes()
    (root / "ir" / "001.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (32, 32)).save(root / "vi" / "002.png")
    (root / "labels" / "003.txt").write_text("0 0.5 0.5 0.5\n")
    (root / "labels" / "004.txt").write_text("0 0.5 1.5 0.5 0.5\n")


def test_skip_writes_each_bad_pair_in_the_ledger(pairs):
    break_pairs(pairs)
    outcome = execute(toys.settings(pairs, run={"on_bad_pair": "skip"}))
    assert outcome.summary.frames == {
        "paired": 1, "unpaired": 1, "dropped": 0, "failed": 4, "fallback": 0,
    }  # fmt: skip
    table = {row["key"]: row for row in rows(outcome.folder)}
    assert [table[f"00{i}"]["status"] for i in range(5)] == ["unpaired"] + ["failed"] * 4
    for key, reason in (
        ("000", "no visible partner"), ("001", "truncated"), ("002", "sizes differ"),
        ("003", "003.txt:1"), ("004", "004.txt:1"),
    ):  # fmt: skip
        assert reason in table[key]["reason"]
    assert outcome.summary.objects == 1
    assert outcome.summary.labelled_objects == 4  # those of the two broken labels are unknown
    assert [image["key"] for image in read(outcome.folder / "ground_truth.json")["images"]] == [
        "005"
    ]


@pytest.mark.parametrize("fault", range(5))
def test_fail_stops_at_once_and_leaves_no_folder(here, fault):
    whole, broken = toys.write_pairs(here / "whole"), toys.write_pairs(here / "broken")
    break_pairs(broken)
    for name in ("ir", "vi", "labels"):  # all but one fault are mended
        for path in (whole / name).iterdir():
            if path.stem != f"00{fault}":
                (broken / name / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=f"00{fault}") as error:
        execute(toys.settings(broken))
    assert "\n" not in str(error.value)
    assert not (here / "runs").exists()


def test_a_missing_image_of_a_folder_arm_is_a_bad_pair_for_all(pairs, here):
    fused = here / "fused"
    fused.mkdir()
    for i in range(5):
        Image.new("L", (toys.WIDTH, toys.HEIGHT)).save(fused / f"{i:03d}.png")
    Image.new("L", (9, 9)).save(fused / "003.png")
    settings = toys.settings(pairs, run={"on_bad_pair": "skip"})
    settings["arms"]["theirs"] = {"kind": "folder", "root": str(fused)}
    outcome = execute(settings)
    reasons = {row["key"]: row["reason"] for row in rows(outcome.folder)}
    assert set(reasons) == {"003", "005"}
    assert "is 9x9" in reasons["003"]
    assert outcome.summary.objects == 4
    assert outcome.summary.labelled_objects == 6


def test_nothing_but_bad_pairs_is_an_error_with_the_reason(pairs, here):
    for path in (pairs / "ir").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"no pair could be processed.*000\.png"):
        execute(toys.settings(pairs, run={"on_bad_pair": "skip"}))
    assert list((here / "runs").iterdir()) == []


def stop_after(batches):
    calls = []

    def on_progress(done, total):
        calls.append(done)
        if len(calls) == batches:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("batch", [1, 2, 4])
@pytest.mark.parametrize("stop", [1, 2])
def test_a_resumed_run_ends_as_an_unbroken_one(pairs, here, batch, stop):
    settings = toys.settings(pairs, compute={"batch": batch})
    settings["sinks"]["saved"] = {"kind": "images"}
    whole = execute({**settings, "run": {"name": "whole"}})
    with pytest.raises(KeyboardInterrupt):
        execute(settings, stop_after(stop))
    partial = here / "runs" / "toy.partial"
    assert (partial / "frames.jsonl").read_text().count("\n") == min(6, batch * stop)
    with (partial / "frames.jsonl").open("a") as file:
        file.write('{"half a line')  # as a kill in the middle of a write leaves it
    with (partial / "progress.log").open("a") as file:
        file.write("9")
    resumed = execute({**settings, "run": {"name": "toy", "resume": True}})
    assert not partial.exists()
    ours, theirs = files(resumed.folder), files(whole.folder)
    ours.pop("config.yaml"), theirs.pop("config.yaml")  # they differ in the run's name
    assert ours == theirs


@pytest.mark.usefixtures("_often")
def test_resume_refuses_another_configuration(pairs):
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    other = toys.settings(pairs, run={"name": "toy", "resume": True})
    other["arms"]["fused"] = {"kind": "average"}
    with pytest.raises(ConfigError, match=r"another arms\.fused\.kind"):
        execute(other)
    with pytest.raises(ConfigError, match="no unfinished run"):
        execute(toys.settings(pairs, run={"name": "else", "resume": True}))


def test_batches_never_mix_sizes_and_sizes_may_vary(here):
    toys.write_pairs(here / "pairs", 5)
    big = toys.write_pairs(here / "big", 9, size=(64, 80))
    for name in ("ir", "vi", "labels"):
        for i in (1, 2, 4):
            source = next((big / name).glob(f"00{i}.*"))
            (here / "pairs" / name / source.name).write_bytes(source.read_bytes())
    outcome = execute(toys.settings(here / "pairs"))
    assert outcome.results["arms"]["ir"]["detection"]["yolo"]["recall"] == pytest.approx(1)
    assert outcome.results["protocol"]["detector"]["input_shapes"] == [[48, 64], [64, 80]]


def test_progress_counts_pairs(pairs):
    seen = []
    execute(toys.settings(pairs), lambda done, total: seen.append((done, total)))
    assert seen == [(4, 6), (6, 6)]


def test_timing_has_every_stage(pairs):
    timing = read(execute(toys.settings(pairs)).folder / "timing.json")
    stages = timing["stages"]
    assert list(stages) == ["decode", "prepare", "compute", "write", "evaluate"]
    for stage in stages.values():
        assert stage["busy_s"] >= 0
        assert 0 <= stage["busy_s"] + stage["wait_s"] <= timing["wall_s"]
    assert set(timing["parts"]) >= {"upload", "fuse ir", "detect ir", "merge late", "evaluate"}
    busy = sum(part["busy_s"] for name, part in timing["parts"].items() if " " in name)
    assert busy <= stages["compute"]["busy_s"]
    assert set(timing["arms_ms_per_pair"]["late"]) == {"merge"}


def test_config_yaml_is_plain(pairs):
    text = (execute(toys.settings(pairs)).folder / "config.yaml").read_text()
    assert yaml.safe_load(text)["arms"]["fused"] == {"kind": "maximum"}


@pytest.mark.usefixtures("_often")
def test_resume_after_a_kill_before_the_first_batch_was_recorded(pairs, here):
    whole = execute(toys.settings(pairs, run={"name": "whole"}))
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    partial = here / "runs" / "toy.partial"
    (partial / "progress.log").unlink()
    resumed = execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
    assert resumed.results == whole.results


@pytest.mark.usefixtures("_often")
def test_a_run_that_still_works_cannot_be_resumed(pairs, here):
    from pipeline.run_folder import folder as run_folder

    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    lock = run_folder._lock(here / "runs" / "toy.partial")
    with pytest.raises(ConfigError, match="still going on"):
        execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
    lock.close()


@pytest.mark.usefixtures("_often")
def test_results_cannot_join_a_run_that_is_resumed(pairs):
    """The pairs that were done before would be missing from its numbers."""
    settings = toys.settings(pairs, sinks={"saved": {"kind": "images"}})
    with pytest.raises(KeyboardInterrupt):
        execute(settings, stop_after(1))
    settings["sinks"]["results"] = {"kind": "results"}
    settings["run"] = {"name": "toy", "resume": True}
    with pytest.raises(ConfigError, match=r"sinks\.results: was not there for the first 4 pairs"):
        execute(settings)


@pytest.mark.usefixtures("_often")
def test_a_sink_can_be_left_out_when_a_run_is_resumed(pairs):
    settings = toys.settings(pairs)
    settings["sinks"]["film"] = {"kind": "video"}
    with pytest.raises(KeyboardInterrupt):
        execute(settings, stop_after(1))
    settings["run"] = {"name": "toy", "resume": True}
    settings["sinks"]["film"] = None
    assert execute(settings).summary.frames["paired"] == 6


@pytest.mark.parametrize(
    ("sink", "key"),
    [
        ({"kind": "images", "arms": ["ir"]}, r"sinks\.saved\.arms"),
        ({"kind": "images"}, r"sinks\.saved\.arms"),
        ({"kind": "video", "arms": ["fused"]}, r"sinks\.saved\.kind"),
    ],
)
def test_a_sink_cannot_be_changed_when_a_run_is_resumed(pairs, here, sink, key):
    """Half of its files would be of one setting and half of another."""
    sinks = {"results": {"kind": "results"}, "saved": {"kind": "images", "arms": ["fused"]}}
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs, sinks=sinks), stop_after(1))
    before = files(here / "runs" / "toy.partial")
    resumed = {"run": {"name": "toy", "resume": True}}
    with pytest.raises(ConfigError, match=rf"was begun with another {key};"):
        execute(toys.settings(pairs, sinks={**sinks, "saved": sink}, **resumed))
    assert files(here / "runs" / "toy.partial") == before
    turned = dict(reversed(sinks.items()))  # their order is no setting
    outcome = execute(toys.settings(pairs, sinks=turned, **resumed))
    assert len(list((outcome.folder / "saved" / "fused").iterdir())) == 6


def test_a_run_that_is_stopped_before_its_first_checkpoint_keeps_what_it_has(pairs, here):
    whole = execute(toys.settings(pairs, run={"name": "whole"}))
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    assert (here / "runs" / "toy.partial" / "frames.jsonl").read_text().count("\n") == 4
    resumed = execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
    assert resumed.results == whole.results


def test_sixteen_bit_visible_images_are_refused(pairs):
    grey = np.full((toys.HEIGHT, toys.WIDTH), 40000, np.uint16)
    Image.fromarray(grey).save(pairs / "vi" / "002.png")
    with pytest.raises(DataError, match=r"vi/002\.png: visible images must have 8 bit"):
        execute(toys.settings(pairs))


def test_a_changed_preset_says_so(pairs):
    settings = toys.settings(pairs)
    plain = execute(settings).results["protocol"]
    assert (plain["modified"], len(plain["notes"])) == ([], 3)
    settings["detector"] = {**settings["detector"], "pad": 0.0, "iou": 0.5}
    changed = execute(settings).results["protocol"]
    assert (changed["modified"], changed["notes"]) == (["pad", "iou"], [])


def test_a_folder_arm_without_an_image_is_known_before_the_run(pairs, here):
    fused = here / "fused"
    fused.mkdir()
    Image.new("L", (toys.WIDTH, toys.HEIGHT)).save(fused / "000.png")
    arms = {"theirs": {"kind": "folder", "root": str(fused)}}
    with pytest.raises(DataError, match="no fused image for pair 001"):
        execute(toys.settings(pairs, arms=arms))
    assert not (here / "runs").exists()


@pytest.mark.parametrize("fault", ["nan", "shape"])
def test_a_fuser_that_gives_no_image_is_found_out(pairs, monkeypatch, fault):
    from fusion.fusers import maximum

    def broken(*, ir, vis):
        return vis * float("nan") if fault == "nan" else vis[:, :, ::2]

    monkeypatch.setattr(maximum, "build", lambda config: broken)
    with pytest.raises(DataError, match="a fuser gave"):
        execute(toys.settings(pairs))


def test_keys_cannot_leave_the_folder():
    from pipeline.frames import Frame, FramePair

    frame = Frame(np.zeros((1, 1), np.uint8), None, 0)
    for key in ("../x", "a/b", "..", "", "a\\b"):
        with pytest.raises(DataError, match="can't hold a folder"):
            FramePair(key, frame, frame)


def test_a_resume_refuses_files_that_were_changed(pairs, here):
    with pytest.raises(KeyboardInterrupt):
        execute(toys.settings(pairs), stop_after(1))
    note = here / "runs" / "toy.partial" / "inputs.json"
    known = read(note)
    assert set(known) == {"arms", "detector"}
    note.write_text(json.dumps({**known, "detector": "another"}))
    with pytest.raises(ConfigError, match=r"run\.resume: the file of detector is not what it was"):
        execute(toys.settings(pairs, run={"name": "toy", "resume": True}))
