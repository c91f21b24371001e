"""Train the demo detector of generated scenes, shipped as ``detection/weights/demo``.

    python -m training.demo_detector --start old.safetensors --out new.safetensors

A small YOLOv5 learns persons and cars from generated streets alone. Infrared, visible and averaged
images have equal shares of a batch, so that no arm is favoured. Training starts from the weights
``--start``; without them it starts from random weights and takes five times as many steps. A killed
run continues from its last checkpoint when started again: each recipe has its own folder in
``--work``.
"""

import argparse
import csv
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.checksums import sha256
from common.device import choose_dtype
from detection.detectors import yolov5
from eval.average_precision import evaluate_yolo
from training import streets
from training.config import ScheduleConfig
from training.demo_scenes import ARMS, Scenes, arm_image, augment, draw_scenes

MODEL = "yolov5n.yaml"
NAMES = {0: "person", 1: "bicycle", 2: "car"}  # COCO's ids; no scene has a bicycle
_FROM_SCRATCH = ScheduleConfig(steps=3000, learning_rate=2e-3, warmup=200, ema=0.998, clip=150.0)
_FROM_WEIGHTS = ScheduleConfig(steps=600, learning_rate=1e-3, warmup=50, ema=0.998, clip=150.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network is trained, and on how many streets.

    Attributes:
        begun_from: sha256 of the initial weights; empty for random ones.
    """

    begun_from: str = ""
    clips: int = 432
    frames: int = 4
    dev_clips: int = 72
    dev_frames: int = 2
    batch: int = 12
    weight_decay: float = 0.01
    save_every: int = 100
    schedule: ScheduleConfig = _FROM_SCRATCH

    @property
    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"schedule": self.schedule.model_dump()}

    @property
    def digest(self) -> str:
        """Eight hex digits that tell recipes apart."""
        return hashlib.sha256(json.dumps(self.plain).encode()).hexdigest()[:8]


@dataclass(slots=True)
class Progress:
    """What a checkpoint holds."""

    network: nn.Module
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def make_batch(scenes: Scenes, recipe: Recipe, step: int) -> dict[str, Tensor]:
    """Make the batch of a step from the step's own seed, with equal shares of the arms."""
    rng = np.random.default_rng([streets.FIRST_SEED, step])
    pictures, classes, boxes, owners = [], [], [], []
    arms = list(ARMS)
    for number, chosen in enumerate(rng.integers(len(scenes.images), size=recipe.batch)):
        shown = arm_image(scenes.images[chosen], arms[number % len(arms)])
        picture, labels = augment(shown, scenes.labels[chosen], rng)
        pictures.append(picture.transpose(2, 0, 1))
        low, high = labels.xyxy[:, :2], labels.xyxy[:, 2:]
        boxes.append(np.hstack([(low + high) / 2, high - low]) / np.tile(streets.SIZE[::-1], 2))
        classes.append(labels.class_id)
        owners.append(np.full(len(labels), number))
    return {
        "img": torch.from_numpy(np.stack(pictures)),
        "cls": torch.from_numpy(np.concatenate(classes)).float()[:, None],
        "bboxes": torch.from_numpy(np.concatenate(boxes)).float(),
        "batch_idx": torch.from_numpy(np.concatenate(owners)).float(),
    }


def train(scenes: Scenes, recipe: Recipe, work: Path, start: Path | None = None) -> Progress:
    """Train all steps, continuing from the work folder's checkpoint if there is one.

    Args:
        scenes: The training set.
        recipe: The settings.
        work: Folder of the checkpoint and the log.
        start: File of the initial weights; None: random ones.

    Raises:
        WeightsError: ``start`` holds no network of this kind.
    """
    progress = _start(recipe, start)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        _restore(progress, checkpoint)
    began = time.monotonic() - progress.seconds
    with (work / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        for step in range(progress.step, recipe.schedule.steps):
            losses = _step(progress, make_batch(scenes, recipe, step), recipe)
            progress.step, progress.seconds = step + 1, time.monotonic() - began
            rate = recipe.schedule.rate_at(step)
            if progress.step % 50 == 0:
                row = [progress.step, *(f"{loss:.4f}" for loss in losses),
                       f"{rate:.2e}", f"{progress.seconds:.0f}"]  # fmt: skip
                log.writerow(row)
                print(",".join(map(str, row)), flush=True)
            if progress.step % recipe.save_every == 0:
                _save(progress, checkpoint)
                file.flush()
    return progress


def _start(recipe: Recipe, weights: Path | None) -> Progress:
    torch.manual_seed(streets.FIRST_SEED)
    network = yolov5.new_network(MODEL, NAMES)
    if weights is not None:
        network.load_state_dict(yolov5.load_network(weights)[0].state_dict())
    network = network.to(memory_format=torch.channels_last)
    decayed = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, recipe.schedule.learning_rate, weight_decay=recipe.weight_decay
    )
    average = {key: value.clone() for key, value in network.state_dict().items()}
    return Progress(network, average, optimizer)


def _step(progress: Progress, batch: dict[str, Tensor], recipe: Recipe) -> list[float]:
    """Take one optimizer step and return the box, class and distribution losses per image."""
    for group in progress.optimizer.param_groups:
        group["lr"] = recipe.schedule.rate_at(progress.step)
    batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
    bfloat16 = choose_dtype("auto", torch.device("cpu")) == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        loss, _ = progress.network.loss(batch)  # type: ignore[operator]
    progress.optimizer.zero_grad()
    loss.sum().backward()
    nn.utils.clip_grad_norm_(progress.network.parameters(), recipe.schedule.clip)
    progress.optimizer.step()
    # a small decay at first, because the first weights are far from the final ones
    decay = min(recipe.schedule.ema, (1 + progress.step) / (10 + progress.step))
    for key, value in progress.network.state_dict().items():
        if value.is_floating_point():
            progress.average[key].lerp_(value, 1 - decay)
        else:
            progress.average[key].copy_(value)
    return [float(part) / recipe.batch for part in loss.detach()]


def _save(progress: Progress, path: Path) -> None:
    state = {
        "network": progress.network.state_dict(),
        "average": progress.average,
        "optimizer": progress.optimizer.state_dict(),
        "step": progress.step,
        "seconds": progress.seconds,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.rename(path)


def _restore(progress: Progress, path: Path) -> None:
    state = torch.load(path, weights_only=True)
    progress.network.load_state_dict(state["network"])
    progress.average = state["average"]
    progress.optimizer.load_state_dict(state["optimizer"])
    progress.step, progress.seconds = state["step"], state["seconds"]


def validate(weights: Path, scenes: Scenes) -> Iterator[dict[str, str]]:
    """Score a weights file on each arm and time of day, one table row each."""
    config = yolov5.Config(
        weights=str(weights), image_size=streets.SIZE[1], conf=0.001, iou=0.6, multi_label=True
    )
    detector = yolov5.build(config, device=torch.device("cpu"))
    for arm in ARMS:
        detections = []
        for pair in scenes.images:
            image = torch.from_numpy(arm_image(pair, arm)).permute(2, 0, 1)[None]
            detections += detector(image)
        for when in ("all", *sorted(set(scenes.times.tolist()))):
            chosen = np.flatnonzero((scenes.times == when) | (when == "all"))
            result = evaluate_yolo(
                [detections[i] for i in chosen], [scenes.labels[i] for i in chosen]
            )
            figures = {"map50": result.map50, "map50_95": result.map50_95}
            figures |= {f"{NAMES[k]}_map50": r.map50 for k, r in result.per_class.items()}
            yield {"arm": arm, "when": when} | {k: f"{v:.3f}" for k, v in figures.items()}


def main() -> None:
    """Draw, train, write and validate."""
    parser = argparse.ArgumentParser(description="Train the detector of generated scenes.")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    default = Path(tempfile.gettempdir()) / "irvis-demo-detector"
    parser.add_argument("--start", type=Path, help="initial weights; default: random ones")
    parser.add_argument("--work", type=Path, default=default, help="scenes and checkpoint")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the network is too small to gain from a second thread
    start: Path | None = arguments.start
    recipe = Recipe()
    if start is not None:
        recipe = Recipe(begun_from=sha256(start), schedule=_FROM_WEIGHTS)
    work = arguments.work / recipe.digest
    work.mkdir(parents=True, exist_ok=True)
    scenes = draw_scenes(work / "train.npy", streets.FIRST_SEED, recipe.clips, recipe.frames)
    dev = draw_scenes(
        work / "dev.npy", streets.VALIDATION_SEED, recipe.dev_clips, recipe.dev_frames
    )
    print("step,box,class,distribution,rate,seconds", flush=True)
    progress = train(scenes, recipe, work, start)
    progress.network.load_state_dict(progress.average)
    metadata = {key: str(value) for key, value in recipe.plain.items()}
    metadata |= {"training_seeds": f"{streets.FIRST_SEED}-{streets.FIRST_SEED + recipe.clips - 1}"}
    yolov5.save_network(
        arguments.out, progress.network, model=MODEL, names=NAMES, metadata=metadata
    )
    for number, row in enumerate(validate(arguments.out, dev)):
        if number == 0:
            print(",".join(row))
        print(",".join(row.values()), flush=True)
    print(f"trained in {progress.seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
