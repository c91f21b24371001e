"""Beside what people use today: `python benchmarks/peers.py [--rounds 3] [--only WORD] [--check]`.

Rows, each run in turn with what it is compared with; medians of the seconds and of the ratios:

- ultralytics' `val` and `predict` on generated images (640x480), against a run with the arm ir_only
  and the same network; the loop that people write (OpenCV's VideoCapture, a mean, ultralytics'
  predict, VideoWriter) against configs/video.yaml with the mean. Whole processes, which start
  Python, import everything, load the network and write all detections.
- mamba's reference of the selective scan, pycocotools, and fusion metrics as common scripts have
  them, against the same here. Calls in this process.

"equal" says what was compared: detections of one class are the same at IoU 0.99 and scores within
0.001; for the loop at 0.9 and 0.05, since its colours are rounded otherwise, to which a random
network is sensitive. With --check the exit code is 1 if a ratio is less than 1. The network is a
random YOLOv5s, or with --weights FILE any anchor-free checkpoint of ultralytics.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import astuple
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import evaluation
import numpy as np
import quality
import scan
import torch
import turns
from peer_data import SIZE, images_of, random_yolov5s, save_data

from common.device import choose_dtype
from common.memory import keep_freed_memory
from detection.detectors.yolov5 import load_network
from eval.evaluation import evaluate_arm
from eval.matching import iou
from eval.quality.metrics import quality as all_metrics
from fusion.scan import selective_scan
from pipeline.images import to_grey
from pipeline.sources import scenes

HERE = Path(__file__).parent
COMMAND = "import sys; from pipeline import cli; sys.exit(cli.main())"
CONF, IOU = 0.001, 0.7  # those of peer.py
EXACT = 0.99, 1e-3  # least IoU and most difference of the scores of what is the same
ROUNDED = 0.9, 0.05  # of frames that two decoders and colour conversions round differently
NO_BFLOAT16 = "left out: this processor has no bfloat16 of its own"


class Whole:
    """A run here and a program there, each time as a process that writes a folder of its own."""

    def __init__(self, folder, weights):
        self.folder, self.weights = folder, weights
        self._here = self._there = 0

    def here(self, configuration, overrides):
        """Time a run."""
        self._here += 1
        folder = self.folder / f"here{self._here}"
        given = (*overrides, f"detector.weights={self.weights}", f"run.dir={folder}")
        return turns.process(["-c", COMMAND, "run", configuration, *given])

    def there(self, program):
        """Time a program of peer.py."""
        self._there += 1
        out = self.folder / f"there{self._there}"
        return turns.process([HERE / "peer.py", program, self.weights, self.folder / "data", out])

    def equal(self, arm, tolerance):
        """What share of the detections of the last two is the same."""
        ours = read_run(self.folder / f"here{self._here}", arm)
        path = self.folder / f"there{self._there}" / "detections.json"
        theirs = json.loads(path.read_text())
        if set(theirs) - set(ours):  # frames by number
            ours = {str(number): rows for number, rows in enumerate(ours.values())}
        counts = [sum(map(len, found.values())) for found in (ours, theirs)]
        same = sum(matched(ours[key], theirs.get(key, []), tolerance) for key in ours)
        share = f"{same / max(*counts, 1):.2%} of {counts[0]} and {counts[1]} detections"
        return f"{share} (IoU {tolerance[0]}, score {tolerance[1]})"


def read_run(folder, arm):
    """The detections of a run by image, in its order: rows of x1, y1, x2, y2, score, class."""
    truth = json.loads((folder / "ground_truth.json").read_text())
    found = {image["id"]: [] for image in truth["images"]}
    for item in json.loads((folder / "predictions" / f"{arm}.json").read_text()):
        x, y, width, height = item["bbox"]
        row = [x, y, x + width, y + height, item["score"], item["category_id"]]
        found[item["image_id"]].append(row)
    return {Path(image["file_name"]).stem: found[image["id"]] for image in truth["images"]}


def matched(rows, others, tolerance):
    """How many of an image's detections have an equal among the others, each at most once."""
    least, most = tolerance
    if not rows or not others:
        return 0
    a, b = np.array(rows), np.array(others)
    same = (iou(a[:, :4], b[:, :4]) >= least) & (a[:, None, 5] == b[:, 5])
    same &= np.abs(a[:, None, 4] - b[:, 4]) <= most
    taken = np.zeros(len(b), bool)
    for candidates in same:
        free = np.flatnonzero(candidates & ~taken)
        taken[free[:1]] = True
    return int(taken.sum())


def processes(folder, weights, frames):
    """Rows of whole processes: name, here, there, and what was equal or why there is none."""
    data = folder / "data"
    save_data(data, frames)
    weights = weights or random_yolov5s(folder / "random.pt", images_of(data))
    whole = Whole(folder, weights)
    network: Any = load_network(weights)[0]
    classes = f"evaluation.classes={sorted(network.names)}"
    common = [f"detector.conf={CONF}", f"detector.iou={IOU}", "detector.classes=null", classes]
    sources = [f"source.ir={data / 'images'}", f"source.vis={data / 'visible'}", *common]
    single = [*(f"arms.{arm}=null" for arm in ("vis", "fused", "late")), "sinks.fused=null"]
    single += ["sinks.report=null", "evaluation.quality=false"]
    folders = HERE.parent / "configs" / "folders.yaml"
    labelled = [*sources, *single, f"source.labels={data / 'labels'}"]
    plain = [*sources, *single, "evaluation.preset=detect"]
    films = [f"source.ir={data / 'ir.mp4'}", f"source.vis={data / 'vis.mp4'}", *common]
    films += ["arms.ir=null", "arms.vis=null", "arms.fused.kind=average", "sinks.report=null"]
    films += ["sinks.side_by_side.arms=[fused]"]
    video = HERE.parent / "configs" / "video.yaml"
    rows = (
        ("val", folders, labelled, "ir", EXACT),
        ("predict", folders, plain, "ir", EXACT),
        ("loop", video, films, "fused", ROUNDED),
    )
    has_bfloat16 = choose_dtype("auto", torch.device("cpu")) == torch.bfloat16
    for dtype in ("float32", "bfloat16"):
        for program, configuration, given, arm, tolerance in rows:
            name = f"ultralytics {program}, {dtype} here"
            if dtype == "bfloat16" and not has_bfloat16:
                yield name, None, None, lambda: NO_BFLOAT16
                continue
            here = partial(whole.here, configuration, [*given, f"detector.dtype={dtype}"])
            yield name, here, partial(whole.there, program), partial(whole.equal, arm, tolerance)


def reference_scan(u, delta, A, B, C, D, delta_bias):
    """The scan as mamba's reference computes it: discretised first, then token by token."""
    step = torch.nn.functional.softplus(delta + delta_bias[:, None])  # [b, d, l]
    repeats = u.shape[1] // B.shape[1]
    into, out_of = (x.repeat_interleave(repeats, 1) for x in (B, C))  # [b, d, n, l]
    decay = torch.exp(torch.einsum("bdl,dn->bdln", step, A))
    inflow = torch.einsum("bdl,bdnl,bdl->bdln", step, into, u)
    state, outputs = torch.zeros_like(decay[:, :, 0]), []  # [b, d, n]
    for token in range(u.shape[2]):
        state = decay[:, :, token] * state + inflow[:, :, token]
        outputs.append(torch.einsum("bdn,bdn->bd", state, out_of[..., token]))
    return torch.stack(outputs, 2) + D[:, None] * u  # [b, d, l]


def calls():
    """The rows of calls: by name, here, there, and what was equal."""
    yield row("mamba's reference scan, 1200 tokens", *scans())
    yield row("pycocotools, 12 numbers; here all scores", *coco())
    yield row("fusion metrics, 8 by NumPy and SciPy; here 14", *metrics())


def row(name, here, there, equal):
    """A row of two calls; ``equal`` compares what they return."""
    timed = [partial(turns.call, call) for call in (here, there)]
    return name, *timed, lambda: equal(here(), there())


def scans():
    values = scan.draw(1200)

    @torch.inference_mode()
    def here():
        return selective_scan(**values, delta_softplus=True, backend="numba")

    there = torch.inference_mode()(partial(reference_scan, **values))
    return here, there, lambda a, b: f"outputs, to {(a - b).abs().max() / b.abs().max():.0e}"


def coco():
    truth, predictions = evaluation.draw(**evaluation.COCO_SIZE)

    def equal(result, numbers):
        difference = np.abs(np.array(astuple(result.coco)[:12]) - numbers).max()
        return f"the 12 numbers, to {difference:.0e}"

    return (
        lambda: evaluate_arm(truth, predictions),
        lambda: evaluation.pycocotools_numbers(truth, predictions),
        equal,
    )


def metrics():
    keep_freed_memory()
    pair = next(iter(scenes.build(scenes.Config(frames=1, size=SIZE, time="day"))))
    ir, vis = to_grey(pair.ir.image), to_grey(pair.vis.image)
    images = {"ir": ir, "vis": vis, "fused": ((ir.astype(int) + vis) // 2).astype(np.uint8)}
    batch = {name: torch.tensor(image)[None, None] for name, image in images.items()}

    def equal(ours, theirs):
        worst = max(abs(ours[name].item() / value - 1) for name, value in theirs.items())
        return f"the 8, to {worst:.0e} of their value"

    return lambda: all_metrics(**batch), lambda: quality.plain(**images), equal


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=60, help="images, and frames of a recording")
    parser.add_argument("--weights", type=Path, help="checkpoint of ultralytics, anchor-free")
    parser.add_argument("--only", default="", metavar="WORD", help="only rows that have it")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a ratio is under 1")
    parsed = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, load {turns.load()}")
    ratios = []
    with tempfile.TemporaryDirectory() as temporary:
        whole = processes(Path(temporary), parsed.weights, parsed.frames)
        for name, here, there, equal in chain(whole, calls()):
            if parsed.only not in name:
                continue
            if here is None:
                print(f"{name:46} {equal()}")
                continue
            times = turns.in_turns(parsed.rounds, {"here": here, "there": there})
            seconds = [turns.median(times[side], "wall") for side in ("here", "there")]
            ratios.append(turns.ratio(times["there"], times["here"], "wall"))
            cpu = turns.ratio(times["there"], times["here"], "cpu")
            print(
                f"{name:46} here {seconds[0]:7.3f} s, there {seconds[1]:7.3f} s: {ratios[-1]:.2f}x "
                f"({cpu:.2f}x of the processor); equal: {equal()}",
                flush=True,
            )
    print(f"load {turns.load()}")
    return int(parsed.check and min(ratios) < 1)


if __name__ == "__main__":
    sys.exit(main())
