"""The main job end to end on generated scenes: needs nothing but what ships with the project."""

import json

import av
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval.matching import iou
from pipeline.config import config
from pipeline.engine import runner
from pipeline.images import read_image

# the contract across batch sizes is one of float32
FRAMES = 6
FEW = [f"source.frames={FRAMES}", "source.clip=3", "source.time=both", "compute.dtype=float32",
       "sinks.fused.kind=images", "sinks.fused.arms=[fused]"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The demo's configuration over a few streets."""
    folder = tmp_path_factory.mktemp("demo") / "run"
    overrides = [f"run.dir={folder}", *FEW]
    outcome = runner.run(config.load(config.DEFAULT, overrides), lambda done, total: None)
    return outcome.folder, outcome.results


def yolo(results, arm):
    return results["arms"][arm]["detection"]["yolo"]


def test_every_arm_is_scored_on_every_pair(run):
    _, results = run
    assert list(results["arms"]) == ["unet", "fused", "ir", "vis", "average", "late"]
    assert results["frames"]["paired"] == FRAMES
    assert results["objects"]["scored"] == results["objects"]["labelled"] > 30


def test_the_shipped_detector_finds_most_of_what_can_be_seen(run):
    _, results = run
    for arm in results["arms"]:
        assert yolo(results, arm)["map50"] > 0.4
    # half of the streets are dark: what only IR shows is lost to VIS
    assert yolo(results, "fused")["recall"] > yolo(results, "vis")["recall"]


def test_a_second_tool_finds_the_same_numbers(run):
    folder, results = run
    truth = COCO(str(folder / "ground_truth.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(folder / "predictions/fused.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    coco = results["arms"]["fused"]["detection"]["coco"]
    assert coco["map50"] == pytest.approx(evaluation.stats[1], abs=1e-12)


def test_images_and_video_are_there(run):
    folder, _ = run
    assert len(list((folder / "fused" / "fused").glob("*.png"))) == FRAMES
    with av.open(str(folder / "video" / "side_by_side.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == FRAMES


def test_the_protocol_says_what_it_was(run):
    folder, results = run
    detector = results["protocol"]["detector"]
    assert (detector["network"], detector["head"]) == ("yolov5n", "anchor-free")
    assert detector["input_shapes"] == [[256, 320]]
    assert len(detector["weights_sha256"]) == 64
    assert json.loads((folder / "results.json").read_text()) == results


def test_another_batch_size_gives_the_same_within_the_contract(run, tmp_path):
    """Of the detections over 0.05, 99.9% match at IoU 0.99 with scores within 0.001."""
    folder, _ = run
    others = [f"arms.{arm}=null" for arm in ("unet", "vis", "average", "late")]
    others += ["sinks.report=null", "sinks.side_by_side=null"]
    overrides = [f"run.dir={tmp_path / 'run'}", *FEW, *others, "compute.batch=5"]
    runner.run(config.load(config.DEFAULT, overrides), lambda done, total: None)
    for arm in ("fused", "ir"):
        ours, theirs = (
            json.loads((path / "predictions" / f"{arm}.json").read_text())
            for path in (tmp_path / "run", folder)
        )
        (box, score, owner), (other_box, other_score, other_owner) = arrays(ours), arrays(theirs)
        same = iou(box, other_box) >= 0.99
        same &= np.abs(score[:, None] - other_score) <= 1e-3
        same &= (owner[:, None] == other_owner).all(axis=2)
        seen = score > 0.05
        assert seen.sum() > 60
        assert same.any(axis=1)[seen].mean() >= 0.999
    for path in (folder / "fused" / "fused").glob("*.png"):
        again = read_image(tmp_path / "run" / "fused" / "fused" / path.name).astype(int)
        difference = np.abs(again - read_image(path))
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.001


def arrays(predictions):
    """Boxes as corners (n, 4), scores (n,), and image and class (n, 2)."""
    box = np.array([p["bbox"] for p in predictions])
    box[:, 2:] += box[:, :2]
    owner = np.array([(p["image_id"], p["category_id"]) for p in predictions])
    return box, np.array([p["score"] for p in predictions]), owner


@pytest.mark.gpu
def test_the_same_on_a_gpu(tmp_path, run):
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    overrides = [f"run.dir={tmp_path / 'run'}", *FEW, "compute.device=cuda"]
    outcome = runner.run(config.load(config.DEFAULT, overrides), lambda done, total: None)
    for arm in outcome.results["arms"]:
        ours, theirs = yolo(outcome.results, arm)["map50"], yolo(run[1], arm)["map50"]
        assert ours == pytest.approx(theirs, abs=0.02)
