"""Memory and CPU seconds of the evaluation: ``python benchmarks/evaluation_memory.py``.

Writes 400,000 random detections an arm, two arms, and their labels into a temporary folder, and
measures in a process each, over what the imports take: reading them as ``irvis evaluate`` does, its
whole evaluation, and the evaluation of a run's folder; bootstrap intervals included.

The seconds are of all threads, without imports; run the script of each checkout to compare two.

Claim: neither evaluation takes more than 1.5x of what reading takes, since matching is per image.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from evaluation import draw

from common.files import write_json
from detection.boxes import Detections
from eval.class_names import COCO_NAMES
from eval.predictions import Predictions
from eval.truth import edges
from pipeline.commands.evaluate import evaluate, read_inputs
from pipeline.engine.evaluation import evaluate as evaluate_run
from pipeline.interfaces import RunContext, Summary
from pipeline.run_folder.detection_log import DetectionLog
from pipeline.run_folder.names import PAIR_LOG

SIZE = {"images": 8_000, "labels": 48_000, "detections": 400_000}
ARMS = ("ir", "vis")
CLASSES = (0, 2)  # person, car
LIMIT = 1.5


def write(folder, size):
    """Write predictions, labels and the log of a run with the same content."""
    (folder / "predictions").mkdir()
    (folder / "run" / "predictions").mkdir(parents=True)
    every = {**size, "detections": size["detections"] * len(ARMS)}
    truth, entries = draw(**every, classes=len(CLASSES))
    for item in (*truth["annotations"], *entries):
        item["category_id"] = CLASSES[item["category_id"]]
    predictions = {arm: entries[number :: len(ARMS)] for number, arm in enumerate(ARMS)}
    for arm, items in predictions.items():
        write_json(folder / "predictions" / f"{arm}.json", items)
    truth["categories"] = [{"id": i, "name": COCO_NAMES[i]} for i in CLASSES]
    write_json(folder / "ground_truth.json", truth)
    write_log(folder / "run", truth, predictions)


def write_log(folder, truth, predictions):
    """Write what a run's sink of kind results logs."""
    lines = {
        image["id"]: {
            "key": image["file_name"].removesuffix(".png"),
            "size": [image["height"], image["width"]],
            "light": None, "dead": None, "shift": None,
            "xyxy": [], "class_id": [], "ignore": [],
            "detections": {}, "quality": {},
        }
        for image in truth["images"]
    }  # fmt: skip
    for item in truth["annotations"]:
        x, y, width, height = item["bbox"]
        lines[item["image_id"]]["xyxy"].append([x, y, x + width, y + height])
        lines[item["image_id"]]["class_id"].append(item["category_id"])
    for arm, items in predictions.items():
        log = DetectionLog(folder, arm, 0)
        found = Predictions.of(items)
        mine = found.by_image(list(lines))
        for line, rows in zip(lines.values(), mine, strict=True):
            xyxy = edges(found.bbox[rows]).astype(np.float32)
            score = found.score[rows].astype(np.float32)
            log.write(Detections(xyxy, score, found.category_id[rows]))
            line["detections"][arm] = len(rows)
        log.close()
    with (folder / PAIR_LOG).open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines.values())


def read_all(folder):
    """Read predictions and labels as ``irvis evaluate`` does."""
    return read_inputs(folder / "predictions", folder / "ground_truth.json")


def evaluate_files(folder):
    """What ``irvis evaluate`` does."""
    return evaluate(folder / "predictions", folder / "ground_truth.json")


def evaluate_folder(folder):
    """What a run does after its last pair."""
    names = {i: COCO_NAMES[i] for i in CLASSES}
    detector = SimpleNamespace(names=names, fingerprint={}, input_shape=lambda size: list(size))
    context = RunContext(
        folder=folder / "run", arms=ARMS, image_arms=ARMS, detector=detector, frame_rate=None,
        labelled=True, protocol={}, classes=CLASSES, done=0,
        baselines={arm: arm for arm in ARMS},
    )  # fmt: skip
    frames = dict.fromkeys(("paired", "unpaired", "dropped", "failed", "fallback"), 1)
    evaluate_run(context, Summary(frames, 0, 0, {}))


PARTS = {part.__name__: part for part in (read_all, evaluate_files, evaluate_folder)}


def warm_up():
    """Compile and import what is made on first use, so that it counts as little as the imports."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), {"images": 20, "labels": 80, "detections": 200})
        for part in PARTS.values():
            part(Path(name))


def peak():
    """The process's largest resident memory so far, MB; getrusage would count the parent's too."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) / 1024


def measure(part, folder):
    """Print a part's memory, MB over what the process had before, and its CPU seconds."""
    warm_up()
    before, began = peak(), time.process_time()
    PARTS[part](folder)
    print(peak() - before, time.process_time() - began)


def in_process(part, folder):
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--part", part, str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  (this file)
    megabytes, cpu = map(float, output.split()[-2:])
    return megabytes, cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--part", choices=list(PARTS))
    given = parser.parse_args()
    if given.part:
        measure(given.part, given.folder)
        return
    print(", ".join(f"{count} {what}" for what, count in SIZE.items()) + f"; {len(ARMS)} arms")
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), SIZE)
        measured = {part: in_process(part, name) for part in PARTS}
    reading, _ = measured["read_all"]
    for part, (megabytes, cpu) in measured.items():
        ratio = f"{megabytes / reading:.2f}x of reading (wanted: {LIMIT})"
        print(f"{part:16} {megabytes:6.0f} MB, {ratio}; {cpu:.0f} s of CPU")


if __name__ == "__main__":
    main()
