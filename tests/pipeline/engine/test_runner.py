import numpy as np
import pytest
import yaml
from PIL import Image

from common.errors import ConfigError
from pipeline.config import config
from pipeline.engine import runner
from tests.helpers import toys
from tests.helpers.runs import execute, files, read_csv, read_json


def test_a_run_folder_holds_what_was_promised(pairs):
    outcome = execute(toys.settings(pairs))
    assert str(outcome.folder) == "runs/toy"
    assert sorted(path.name for path in outcome.folder.iterdir()) == [
        "config.yaml", "curves.json", "ground_truth.json", "ledger.csv", "pairs.csv", "predictions",
        "results.csv", "results.json", "timing.json",
    ]  # fmt: skip
    results = read_json(outcome.folder / "results.json")
    assert results["schema"] == 1
    assert list(results["arms"]) == ["fused", "ir", "vis", "late"]
    assert results["frames"] == {
        "paired": 6, "unpaired": 0, "dropped": 0, "failed": 0, "fallback": 0,
    }  # fmt: skip
    assert results["objects"] == {"scored": 6, "labelled": 6}
    assert results["protocol"]["preset"] == "paper-msrs"
    assert results["protocol"]["detector"]["input_shapes"] == [[48, 64]]


def test_results_csv_has_a_row_per_arm_and_class(toy_run):
    table = read_csv(toy_run.folder / "results.csv")
    assert [(row["arm"], row["class"]) for row in table] == [
        (arm, name) for arm in ("fused", "ir", "vis", "late") for name in ("all", "person")
    ]


def test_the_same_run_twice_is_the_same_bytes_in_a_new_folder(pairs):
    first, second = execute(toys.settings(pairs)), execute(toys.settings(pairs))
    assert str(second.folder) == "runs/toy-2"
    assert files(first.folder) == files(second.folder)


def test_config_yaml_runs_again(pairs):
    first = execute(toys.settings(pairs))
    again = runner.run(config.load(first.folder / "config.yaml"), lambda done, total: None)
    assert files(first.folder) == files(again.folder)


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


def test_timing_has_every_stage(toy_run):
    timing = read_json(toy_run.folder / "timing.json")
    stages = timing["stages"]
    assert list(stages) == ["decode", "prepare", "compute", "write", "evaluate"]
    for stage in stages.values():
        assert stage["busy_s"] >= 0
        assert 0 <= stage["busy_s"] + stage["wait_s"] <= timing["wall_s"]
    assert set(timing["parts"]) >= {"upload", "fuse ir", "detect ir", "merge late", "evaluate"}
    busy = sum(part["busy_s"] for name, part in timing["parts"].items() if " " in name)
    assert busy <= stages["compute"]["busy_s"]
    assert set(timing["arms_ms_per_pair"]["late"]) == {"merge"}


def test_config_yaml_is_plain(toy_run):
    text = (toy_run.folder / "config.yaml").read_text()
    assert yaml.safe_load(text)["arms"]["fused"] == {"kind": "maximum"}


def test_a_changed_preset_says_so(pairs):
    settings = toys.settings(pairs)
    plain = execute(settings).results["protocol"]
    assert (plain["modified"], len(plain["notes"])) == ([], 3)
    settings["detector"] = {**settings["detector"], "pad": 0.0, "iou": 0.5}
    changed = execute(settings).results["protocol"]
    assert (changed["modified"], changed["notes"]) == (["pad", "iou"], [])
