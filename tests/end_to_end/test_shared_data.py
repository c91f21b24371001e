"""The main job on real pairs, against what was measured before the project began.

The figures are those of the shared data's README: the same detector and protocol, another program.
"""

import json

import pytest

from pipeline.config import config
from pipeline.engine import runner

# precision, recall, mAP@.5, mAP@.5:.95 by the YOLO convention; AP@.5, AP by pycocotools
EXPECTED = {
    "ir": ((0.967, 0.699, 0.739, 0.539), (0.7425, 0.5402)),
    "vis": ((0.987, 0.723, 0.834, 0.532), (0.8331, 0.5304)),
    "average": ((0.987, 0.932, 0.968, 0.651), (0.9697, 0.6504)),
    "maximum": ((0.844, 0.890, 0.875, 0.668), (0.8739, 0.6678)),
    "late": ((0.937, 0.941, 0.974, 0.667), None),
}


@pytest.fixture(scope="module")
def results(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("msrs") / "run"
    checked = config.load(
        config.DEFAULT.parent / "msrs.yaml",
        [
            f"source.root={shared / 'data/msrs/detection'}",
            f"detector.weights={shared / 'weights/yolov5s.pt'}",
            "arms.fused=null",
            "arms.unet=null",
            "sinks.fused=null",
            "sinks.report=null",
            "evaluation.quality=false",
            f"run.dir={folder}",
        ],
    )
    runner.run(checked, lambda done, total: None)
    return json.loads((folder / "results.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("arm", EXPECTED)
def test_msrs_agrees_with_what_was_measured(results, arm):
    detection = results["arms"][arm]["detection"]
    yolo, coco = EXPECTED[arm]
    ours = [detection["yolo"][key] for key in ("precision", "recall", "map50", "map50_95")]
    assert ours == pytest.approx(yolo, abs=0.005)
    if coco is not None:
        ours = [detection["coco"][key] for key in ("map50", "map50_95")]
        assert ours == pytest.approx(coco, abs=0.002)


@pytest.mark.slow
def test_msrs_protocol_is_the_pinned_one(results):
    detector = results["protocol"]["detector"]
    assert detector["input_shapes"] == [[512, 672]]
    assert detector["weights_sha256"].startswith("c3b140f32001a9ee")
    assert (detector["network"], detector["head"]) == ("yolov5s", "anchor-based")
    assert results["objects"] == {"scored": 29, "labelled": 29}
    assert results["frames"]["paired"] == 14
