"""The scripts of examples/, as a user takes them: in the working folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import irvis
from pipeline import cli
from tests.helpers import toys

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def copied(here):
    """An empty working folder with the scripts."""
    for path in EXAMPLES.glob("*.py"):
        shutil.copy(path, here)
    return here


def test_an_own_fuser_is_an_arm(copied):
    """What it should give is computed here in integers: vis + max(ir - vis, 0) / 2, rounded."""
    root = toys.write_pairs(copied / "pairs", 2)
    settings = toys.settings(root, sinks={"images": {"kind": "images", "arms": ["mine"]}})
    mine = {"arms.mine.kind": "own_fuser", "run.dir": copied / "run"}
    irvis.run(settings, mine | {"sinks.results.kind": "results"})
    for key in ("000", "001"):
        ir = np.asarray(Image.open(root / "ir" / f"{key}.png")).astype(int)[..., None]
        vis = np.asarray(Image.open(root / "vi" / f"{key}.png")).astype(int)
        fused = np.asarray(Image.open(copied / "run" / "images" / "mine" / f"{key}.png"))
        assert np.abs(2 * fused.astype(int) - 2 * vis - np.maximum(ir - vis, 0)).max() <= 1
    strong = irvis.fuser("own_fuser", strength=1)
    images = ir[..., 0].astype(np.uint8), vis.astype(np.uint8)
    assert np.array_equal(strong(*images), np.maximum(ir, vis))


def test_a_wrong_setting_of_an_own_fuser_is_named(copied):
    with pytest.raises(irvis.ConfigError, match="strength"):
        irvis.fuser("own_fuser", strength=2)


def test_an_own_detector_scores_all_arms(copied, capsys):
    """The toy pairs' boxes are brighter than its threshold, so that it finds each exactly."""
    root = toys.write_pairs(copied / "pairs", 4)
    run = irvis.run(
        toys.settings(root, sinks={"results": {"kind": "results"}, "report": {"kind": "report"}}),
        {"detector": {"kind": "own_detector"}, "run.dir": copied / "run"},
    )
    assert run.table.loc["ir", ["precision", "recall"]].tolist() == [1, 1]
    assert run.table.loc["vis", "recall"] == 0.5  # its boxes are in every other image
    boxes = run.ground_truth.iloc[:, -5:-1].to_numpy()
    found = run.detections("ir").iloc[:, -4:].to_numpy()
    assert np.allclose(boxes, found, atol=1e-3)
    assert run.results["protocol"]["detector"]["threshold"] == 160
    assert cli.main(["show", "run"]) == 0
    assert "Detector: bright spots\n" in capsys.readouterr().out
    shutil.copytree("run", "again")
    assert cli.main(["compare", "run", "again"]) == 0
    assert "Detector: bright spots; " in capsys.readouterr().out
    assert "evaluated with bright spots under" in (copied / "run" / "report.html").read_text()


def test_the_command_line_says_what_an_own_detector_is(copied, capsys):
    toys.write_pairs(copied / "pairs", 2)
    overrides = ["source.kind=msrs", "source.root=pairs", "detector.kind=own_detector"]
    arms = [f"arms.{name}=null" for name in ("unet", "fused", "average", "late")]
    sinks = ["sinks.report=null", "sinks.side_by_side=null"]
    assert cli.main(["run", "demo", *overrides, *arms, *sinks]) == 0
    assert ": bright spots; P, R, mAP: YOLO convention\n" in capsys.readouterr().out


def test_the_generated_folders_have_the_drives_pairs_and_labels(copied):
    script = (copied / "two_folders.py").read_text()
    exec(script.replace("frames=48", "frames=2"), {})
    exact = irvis.source("scenes", frames=2, clip=48, time="afternoon_to_night")
    folders = {"ir": "drive/ir", "vis": "drive/vi", "labels": "drive/labels"}
    read = irvis.source("image_folder", **folders)
    for one, other in zip(exact, read, strict=True):
        assert np.array_equal(one.ir.image, other.ir.image)
        assert np.array_equal(one.vis.image, other.vis.image)
        labels, written = (
            source.labels(pair.key, pair.vis.size) for source, pair in ((exact, one), (read, other))
        )
        assert len(labels.class_id) > 3
        assert labels.class_id.tolist() == written.class_id.tolist()
        assert np.allclose(labels.xyxy, written.xyxy, atol=1e-3)
