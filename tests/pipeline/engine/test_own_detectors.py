"""Arms that have a detector of their own."""

import cv2
import numpy as np
import pytest
import torch

from common.errors import ConfigError
from pipeline.config import config
from pipeline.engine.building import build_arms
from tests.helpers import toys
from tests.helpers.runs import execute, read_json

KIND = "tests.helpers.fixed_box"


def settings(tmp_path, arms, **more):
    root = tmp_path / "pairs"
    if not root.exists():
        toys.write_pairs(root, 3)
    return {
        "run": {"dir": str(tmp_path / f"run{len(list(tmp_path.iterdir()))}")},
        "source": {"kind": "msrs", "root": str(root)},
        "arms": arms,
        "detector": {"kind": KIND},
        "compute": {"device": "cpu", "batch": 2},
        "sinks": {"results": {"kind": "results"}},
        **more,
    }


def lefts(folder, arm):
    return [entry["bbox"][0] for entry in read_json(folder / "predictions" / f"{arm}.json")]


def test_an_arm_is_detected_in_by_its_own_detector_and_the_others_by_the_runs(tmp_path):
    arms = {
        "ir": {"kind": "ir_only"},
        "moved": {"kind": "ir_only", "detector": {"x": 20.0}},
    }
    outcome = execute(settings(tmp_path, arms))
    assert lefts(outcome.folder, "ir") == [0.0] * 3
    assert lefts(outcome.folder, "moved") == [20.0] * 3
    protocol = outcome.results["protocol"]
    assert protocol["detector"]["x"] == 0.0
    assert protocol["arms"]["moved"]["detector"] == {"network": "fixed box", "x": 20.0}
    assert "detector" not in protocol["arms"]["ir"]
    alone = execute(settings(tmp_path, {"ir": {"kind": "ir_only"}}))
    assert alone.results["arms"]["ir"] == outcome.results["arms"]["ir"]


def test_arms_that_differ_in_their_detector_alone_are_one_object(tmp_path):
    arms = {
        "a": {"kind": "average"},
        "moved": {"kind": "average", "detector": {"x": 20.0}},
        "ir": {"kind": "ir_only"},
    }
    built = build_arms(config.check(settings(tmp_path, arms)), torch.device("cpu"))
    assert built["moved"] is built["a"]
    assert built["ir"] is not built["a"]


def test_a_stacked_arm_shows_its_detector_six_channels_and_no_sink_its_image(tmp_path):
    arms = {
        "ir": {"kind": "ir_only"},
        "stacked": {"kind": "stacked", "detector": {"channels": 6}},
    }
    sinks = {"results": {"kind": "results"}, "shown": {"kind": "images"}}
    given = settings(tmp_path, arms, sinks=sinks, evaluation={"quality": True})
    outcome = execute(given)
    folder = outcome.folder
    scores = [entry["score"] for entry in read_json(folder / "predictions" / "stacked.json")]
    first = [cv2.imread(str(p), 0) for p in sorted((tmp_path / "pairs" / "ir").iterdir())]
    assert scores == pytest.approx([image.mean() / 255 for image in first], abs=1e-5)
    assert not list(folder.glob("shown/**/stacked*"))
    assert list(folder.rglob("shown/**/*.png"))
    assert outcome.results["arms"]["stacked"]["quality"] in (None, {})


def test_a_stacked_image_is_infrared_three_times_then_the_visible_one():
    from pipeline.arms import stacked
    from pipeline.frames import PairBatch

    ir = torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)
    vis = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 2, 2)
    image = stacked.build(stacked.Config())(PairBatch(("a",), ir, vis))
    assert np.array_equal(image[0, :3], np.full((3, 2, 2), 7))
    assert np.array_equal(image[0, 3:], vis[0])


@pytest.mark.parametrize(
    ("arms", "text"),
    [
        (
            {"stacked": {"kind": "stacked"}},
            "arms.stacked: its image has 6 channels, its detector takes 3; set "
            "arms.stacked.detector.weights to one that was trained for this arm",
        ),
        (
            {"ir": {"kind": "ir_only", "detector": {"second_class": "bus"}}},
            "arms.ir.detector: has other classes than detector; give one with the same",
        ),
        (
            {"ir": {"kind": "ir_only", "detector": {"y": 1}}},
            "unknown key arms.ir.detector.y; choose from x, channels, second_class",
        ),
        (
            {"ir": {"kind": "ir_only", "detector": {"classes": [0]}}},
            "arms.ir.detector.classes: all arms have the same; set detector.classes",
        ),
    ],
)
def test_what_can_be_no_own_detector_is_said(tmp_path, arms, text):
    with pytest.raises(ConfigError) as error:
        execute(settings(tmp_path, arms))
    assert str(error.value) == text


def test_an_arm_that_merges_has_none(tmp_path):
    arms = {
        "ir": {"kind": "ir_only"},
        "vis": {"kind": "vis_only"},
        "late": {"kind": "late", "detector": {"x": 1}},
    }
    with pytest.raises(ConfigError, match=r"arms.late.detector: the arm merges detections"):
        config.check(settings(tmp_path, arms))


def test_without_a_detector_there_is_no_own_one(tmp_path):
    arms = {"ir": {"kind": "ir_only", "detector": {"x": 1}}}
    with pytest.raises(ConfigError, match=r"arms.ir.detector: there is no detector whose"):
        config.check(settings(tmp_path, arms, detector=None, sinks={}))
