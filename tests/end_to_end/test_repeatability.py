"""The repeatability contract of DESIGN.md.

For a fixed device, dtype, thread count and batch size the same bytes, whatever the queues, the
other arms or resumes; across batch sizes nearly the same. The fuser is the paper's network, the
detector a small YOLOv5, both with the weights that are in the repository; it is their kernels that
could take another way.
"""

import json
import random
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from eval.matching import iou
from pipeline.config import config
from pipeline.engine import flow, runner
from pipeline.sources import scenes
from pipeline.sources._prefetch import Prefetch

FRAMES = 6
BATCH = 2  # and a shorter one at the end
ARMS = {
    "fused": {"kind": "fusionmamba", "weights": "tiny-paper"},
    "ir": {"kind": "ir_only"},
    "late": {"kind": "late", "arms": ["fused", "ir"]},
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs of a generated drive; one has no infrared image."""
    root = tmp_path_factory.mktemp("pairs")
    for camera in ("ir", "vis"):
        (root / camera).mkdir()
    drive = scenes.Config(frames=FRAMES, clip=FRAMES, size=(96, 128), time="day", traffic="dense")
    with scenes.build(drive) as source:
        for number, pair in enumerate(source):
            for camera, frame in (("ir", pair.ir), ("vis", pair.vis)):
                if (camera, number) != ("ir", 2):
                    Image.fromarray(frame.image).save(root / camera / f"{pair.key}.png")
    return root


@pytest.fixture
def out(tmp_path, pairs):
    """What a run needs to know: where its pairs are and where it goes to."""
    return pairs, tmp_path / "out"


def execute(out, *, batch=BATCH, arms=ARMS, resume=False, stop_after=None):
    """The run folder; the run is stopped after so many batches."""
    pairs, folder = out
    settings = {
        "run": {"dir": str(folder), "resume": resume, "on_bad_pair": "skip"},
        "source": {"kind": "image_folder", "ir": str(pairs / "ir"), "vis": str(pairs / "vis")},
        "arms": arms,
        "detector": {"kind": "yolov5", "weights": "demo", "image_size": 320, "conf": 0.04},
        "evaluation": {"preset": "detect", "classes": [0, 2]},
        "compute": {"device": "cpu", "batch": batch, "dtype": "float32"},
        "sinks": {"results": {"kind": "results"}, "saved": {"kind": "images", "arms": ["fused"]}},
    }
    batches = []

    def on_progress(done, total):
        batches.append(done)
        if len(batches) == stop_after:
            raise KeyboardInterrupt

    return runner.run(config.check(settings), on_progress).folder


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("timing.json", "config.yaml")
    }


def detections(folder):
    """(n, 7): pair, class, x1, y1, x2, y2, score of the fused arm's detections over 0.05."""
    found = json.loads((folder / "predictions" / "fused.json").read_text())
    rows = [
        (d["image_id"], d["category_id"], x, y, x + w, y + h, d["score"])
        for d in found
        for x, y, w, h in [d["bbox"]]
    ]
    table = np.array(rows).reshape(-1, 7)
    return table[table[:, 6] > 0.05]


@pytest.fixture(scope="module")
def expected(tmp_path_factory, pairs):
    """A run with nothing special."""
    folder = execute((pairs, tmp_path_factory.mktemp("expected") / "out"))
    assert len(detections(folder)) >= 10
    return folder


@pytest.mark.parametrize(("single", "batches"), [(1, 1), (64, 16)])
def test_queues_of_any_length_give_the_same_bytes(out, monkeypatch, expected, single, batches):
    monkeypatch.setattr(flow, "PAIRS", single)
    monkeypatch.setattr(flow, "BATCHES", batches)
    assert files(execute(out)) == files(expected)


def test_threads_that_come_and_go_as_they_like_give_the_same_bytes(out, monkeypatch, expected):
    room, lots = Prefetch._has_room, random.Random(0)

    def dawdle(self):
        time.sleep(lots.choice([0, 0, 0.01, 0.1]))
        return room(self)

    monkeypatch.setattr(Prefetch, "_has_room", dawdle)
    assert files(execute(out)) == files(expected)


@pytest.mark.parametrize("arms", [
    {"fused": ARMS["fused"]},
    {"average": {"kind": "average"}, "vis": {"kind": "vis_only"}, **ARMS},
])  # fmt: skip
def test_other_arms_change_nothing(out, expected, arms):
    ours, theirs = files(execute(out, arms=arms)), files(expected)
    images = [name for name in theirs if name.startswith("saved/fused/")]
    assert len(images) == FRAMES - 1
    for name in ("predictions/fused.json", "ground_truth.json", "ledger.csv", *images):
        assert ours[name] == theirs[name]
    ours, theirs = (json.loads(f["results.json"])["arms"]["fused"] for f in (ours, theirs))
    assert ours == theirs


@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_resume_changes_nothing(out, monkeypatch, expected, stop_after):
    monkeypatch.setattr(runner, "CHECKPOINT", 1)
    with pytest.raises(KeyboardInterrupt):
        execute(out, stop_after=stop_after)
    assert files(execute(out, resume=True)) == files(expected)


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_another_batch_size_is_nearly_the_same(out, expected, batch):
    folder = execute(out, batch=batch)
    ours, theirs = files(folder), files(expected)
    assert list(ours) == list(theirs)
    for name in ("ground_truth.json", "ledger.csv"):
        assert ours[name] == theirs[name]
    images = [name for name in theirs if name.startswith("saved/")]
    levels = [
        np.stack([cv2.imread(str(run / name)) for name in images]).astype(int)
        for run in (folder, expected)
    ]
    difference = np.abs(levels[0] - levels[1])
    assert difference.max() <= 1
    assert difference.any(-1).mean() <= 0.001
    assert matched(detections(folder), detections(expected)) >= 0.999
    assert matched(detections(expected), detections(folder)) >= 0.999


def matched(ours, theirs):
    """Share of our detections that are in theirs: same class, IoU 0.99, scores within 0.001."""
    same = (ours[:, None, :2] == theirs[None, :, :2]).all(-1)  # [n, m]
    overlap = iou(ours[:, 2:6], theirs[:, 2:6])
    close = np.abs(ours[:, None, 6] - theirs[None, :, 6]) <= 1e-3
    return (same & (overlap >= 0.99) & close).any(1).mean()
