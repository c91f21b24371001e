"""The command line as a user types it: exit codes, one-line errors, and the files it leaves."""

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline import cli
from tests.helpers import toys
from tests.helpers.videos import write_video

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def toy(pairs, here):
    """A configuration file for cheap runs."""
    (here / "toy.yaml").write_text(yaml.safe_dump(toys.settings(pairs)))
    return here


def irvis(capsys, *arguments):
    code = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_run_prints_headline_table_and_folder(toy, capsys):
    code, out, _ = irvis(capsys, "run", "toy.yaml")
    assert code == 0
    assert out.startswith("6 of 6 pairs, 6 of 6 objects (6 person); ")
    row = next(line for line in out.splitlines() if "vis" in line and "│" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][:3] == ["vis", "1.000", "0.500"]
    assert "Protocol paper-msrs: bright box" in out
    assert out.rstrip().endswith("Run folder: runs/toy")


def test_arms_are_added_and_removed(toy, capsys):
    code, out, _ = irvis(
        capsys, "run", "toy.yaml", "arms.lap.kind=laplacian", "arms.late=null", "arms.vis=null"
    )
    assert code == 0
    arms = re.findall(r"^│ (\w+)", out, re.MULTILINE)
    assert arms[:3] == ["fused", "ir", "lap"]  # the comparisons follow


def test_skipped_pairs_are_in_the_headline(toy, capsys):
    (toy / "pairs" / "vi" / "003.png").unlink()
    (toy / "pairs" / "ir" / "004.png").write_bytes(b"")
    code, out, _ = irvis(capsys, "run", "toy.yaml", "run.on_bad_pair=skip")
    assert code == 0
    assert out.startswith(
        "4 of 5 pairs, 4 of 6 objects (6 person); 1 frame(s) without a partner (reasons in"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy.yaml", "source.root=nowhere"], "source.root: nowhere is no folder"),
        (["toy.yaml", "arms.ir.kind=ironly"], "arms.ir.kind: unknown 'ironly'; did you mean 'ir_"),
        (["toy.yaml", "detector.weight=1"], "unknown key detector.weight"),
        (["none.yaml"], "no configuration file none.yaml"),
        (["toy.yaml", "compute.device=cuda:99"], "compute.device: cuda:99 does not exist"),
        (["toy.yaml", "detector={kind: yolov5, weights: nix}"], "no weights 'nix'"),
        (["toy.yaml", "detector={kind: yolov5, weights: toy.yaml}"], "toy.yaml: not a YOLO check"),
        (["toy.yaml", "source.class_map={0: 77}"], "0 is mapped to 77, which is no known class"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(toy, capsys, arguments, message):
    code, out, err = irvis(capsys, "run", *arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("irvis: ")
    assert message in err
    assert not (toy / "runs").exists() or list((toy / "runs").iterdir()) == []


def test_ctrl_c_is_130_and_says_how_to_go_on(toy, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.engine.runner.Compute.run", stop)
    code, _, err = irvis(capsys, "run", "toy.yaml")
    assert code == 130
    assert "run.resume=true" in err


def test_evaluate_repeats_a_run(toy, capsys):
    irvis(capsys, "run", "toy.yaml")
    folder = toy / "runs" / "toy"
    expected = json.loads((folder / "results.json").read_text())["arms"]["vis"]["detection"]
    predictions = folder / "predictions" / "vis.json"
    code, out, _ = irvis(
        capsys, "evaluate", predictions, folder / "ground_truth.json", "-o", toy / "n.json"
    )
    assert code == 0
    alone = json.loads((toy / "n.json").read_text())
    assert alone["arms"] == {"vis": {"detection": expected}}
    assert (alone["comparisons"], alone["attribution"]) == ({}, {})
    assert "0.500" in out
    # the same from YOLO labels, with the images' names as yolov5 writes them
    renamed = json.loads(predictions.read_text())
    for entry in renamed:
        entry["image_id"] = entry["image_id"] - 1  # 000.png is image 1
    (toy / "theirs.json").write_text(json.dumps(renamed))
    code, _, _ = irvis(
        capsys, "evaluate", toy / "theirs.json", toy / "pairs/labels",
        "--images", toy / "pairs/vi", "-o", toy / "m.json",
    )  # fmt: skip
    assert code == 0
    again = json.loads((toy / "m.json").read_text())["arms"]["theirs"]["detection"]
    assert again["yolo"]["map50"] == pytest.approx(expected["yolo"]["map50"])


@pytest.mark.parametrize(
    ("entry", "message"),
    [({"score": 2}, "score 2"), ({"image_id": 0.5}, "0.5"), ({"bbox": [0, 0, -1, 1]}, "bbox")],
)
def test_foreign_predictions_are_checked(toy, capsys, entry, message):
    irvis(capsys, "run", "toy.yaml")
    good = {"image_id": 1, "category_id": 0, "bbox": [0, 0, 5, 5], "score": 0.5}
    (toy / "p.json").write_text(json.dumps([good, {**good, **entry}]))
    truth = toy / "runs" / "toy" / "ground_truth.json"
    code, _, err = irvis(capsys, "evaluate", toy / "p.json", truth)
    assert code == 2
    assert "[1]" in err
    assert message in err


def test_evaluate_repeats_a_whole_run(toy, capsys):
    """A folder of predictions gives every arm, and what they are against each other."""
    irvis(capsys, "run", "toy.yaml")
    folder = toy / "runs" / "toy"
    code, out, _ = irvis(
        capsys, "evaluate", folder / "predictions", folder / "ground_truth.json", "-o", "all.json"
    )
    assert code == 0
    run = json.loads((folder / "results.json").read_text())
    mine = json.loads((toy / "all.json").read_text())
    for part in ("comparisons", "attribution", "warnings"):
        assert mine[part] == run[part]
    assert {arm: part["detection"] for arm, part in mine["arms"].items()} == {
        arm: part["detection"] for arm, part in run["arms"].items()
    }
    assert "fused − vis" in out
    assert "Warning: 6 images with labels are few" in out


@pytest.mark.parametrize(
    ("classes", "counted"), [("car, person", [2, 0]), ("PERSON", [0]), ("person,person", [0])]
)
def test_evaluate_takes_class_names_as_people_write_them(toy, capsys, classes, counted):
    irvis(capsys, "run", "toy.yaml")
    folder = toy / "runs" / "toy"
    files = (folder / "predictions" / "ir.json", folder / "ground_truth.json")
    assert irvis(capsys, "evaluate", *files, "--classes", classes, "-o", "n.json")[0] == 0
    assert json.loads((toy / "n.json").read_text())["protocol"]["classes"] == counted


def test_evaluate_refuses_classes_that_the_labels_lack(toy, capsys):
    irvis(capsys, "run", "toy.yaml")
    folder = toy / "runs" / "toy"
    files = (folder / "predictions" / "ir.json", folder / "ground_truth.json")
    code, _, err = irvis(capsys, "evaluate", *files, "--classes", "person,caar")
    assert code == 2
    assert "--classes: the labels have no caar; theirs are person, car" in err


def test_evaluate_needs_its_files(toy, capsys):
    assert irvis(capsys, "evaluate", "a.json", "b.json")[0] == 2
    (toy / "p.json").write_text("[]")
    code, _, err = irvis(capsys, "evaluate", toy / "p.json", toy / "pairs/labels")
    assert code == 2
    assert "--images is missing" in err


def test_fuse_folders(toy, capsys):
    code, out, _ = irvis(capsys, "fuse", "pairs/ir", "pairs/vi", "-o", "out", "kind=maximum")
    assert (code, out) == (0, "6 fused images in out\n")
    image = np.asarray(Image.open(toy / "out" / "001.png"))
    assert image.shape == (toys.HEIGHT, toys.WIDTH, 3)
    assert image[15, 15].min() >= 240  # the bright box that only IR shows
    code, _, err = irvis(capsys, "fuse", "pairs/ir", "pairs/vi", "-o", "out")
    assert code == 2
    assert "out is in use" in err


def test_fuse_two_images_and_two_recordings(toy, capsys):
    code, out, _ = irvis(capsys, "fuse", "pairs/ir/000.png", "pairs/vi/000.png", "-o", "one.png")
    assert (code, out) == (0, "1 fused image in one.png\n")
    assert Image.open(toy / "one.png").size == (toys.WIDTH, toys.HEIGHT)
    write_video(toy / "ir.mkv", [0, 40, 80], 25)
    write_video(toy / "vis.mkv", [0, 40, 80], 25)
    assert irvis(capsys, "fuse", "ir.mkv", "vis.mkv", "-o", "out.mp4")[0] == 0
    assert (toy / "out.mp4").stat().st_size > 500
    assert irvis(capsys, "fuse", "ir.mkv", "vis.mkv", "-o", "stills")[0] == 0
    assert len(list((toy / "stills").glob("*.png"))) == 3


def test_results_that_were_edited_are_one_line(toy, capsys):
    for name in ("a", "b"):
        irvis(capsys, "run", "toy.yaml", f"run.dir={name}")
    results = json.loads((toy / "b/results.json").read_text())
    del results["arms"]["vis"]["detection"]["ci95"]
    (toy / "b/results.json").write_text(json.dumps(results))
    for arguments in (["show", "b"], ["compare", "a", "b"]):
        code, out, err = irvis(capsys, *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("irvis: b/results.json: has no arms.vis.detection.ci95; ")
        assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("ir", "setting", "message"),
    [
        ("nowhere", "kind=average", "nowhere: no such file"),
        ("pairs/ir/000.png", "kind=average", "two folders, two recordings or two images"),
        ("pairs/ir", "kind=late", "makes no image"),
        ("pairs/ir", "kind=nix", "fuser.kind: unknown 'nix'"),
    ],
)
def test_fuse_mistakes(toy, capsys, ir, setting, message):
    code, _, err = irvis(capsys, "fuse", ir, "pairs/vi", "-o", "out", setting)
    assert code == 2
    assert message in err
    assert not (toy / "out").exists()


def test_fuse_stops_at_a_pair_without_partner(toy, capsys):
    (toy / "pairs" / "vi" / "003.png").unlink()
    code, _, err = irvis(capsys, "fuse", "pairs/ir", "pairs/vi", "-o", "out")
    assert code == 2
    assert "003.png: has no visible partner" in err


def test_doctor_names_what_there_is(capsys):
    code, out, _ = irvis(capsys, "doctor")
    assert code == 0
    for word in ("torch", "ultralytics", "mamba-ssm", "scan: reference", "detector: demo", "GPU"):
        assert word in out
    assert "irvis download yolov5s" in out or "yolov5s.pt" in out


def test_the_module_runs_too(monkeypatch, capsys):
    """`python -m pipeline.cli`, where no script is installed."""
    monkeypatch.setattr(sys, "argv", ["irvis", "download", "yolov99"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(cli.__file__, run_name="__main__")
    assert end.value.code == 2
    assert "choose from yolov5s.pt" in capsys.readouterr().err


def test_download_of_an_unknown_name(capsys):
    code, _, err = irvis(capsys, "download", "yolov99")
    assert code == 2
    assert "choose from yolov5s.pt" in err


def test_the_script_is_thin_and_works_from_anywhere(toy, monkeypatch, capfd):
    script = ROOT / "run_pipeline.py"
    assert len(script.read_text().splitlines()) < 60

    def run(*overrides):
        monkeypatch.setattr(sys, "argv", [str(script), "toy.yaml", *overrides])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(script), run_name="__main__")
        return end.value.code

    assert run("arms.ir=null", "arms.late=null") == 0
    assert "6 of 6 pairs" in capfd.readouterr().out
    assert run("x=1") == 2
    errors = capfd.readouterr().err
    assert "Traceback" not in errors
    assert errors.count("\n") == 1
