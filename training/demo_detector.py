"""Train the detector that judges generated scenes; it ships as ``detection/weights/demo``.

    python -m training.demo_detector --start old.safetensors --out new.safetensors

A small YOLOv5 learns persons and cars from generated streets alone. Infrared, visible and averaged
images come in equal shares, so that no arm is favoured. It goes on from earlier weights; without
``--start`` it begins with random ones and takes five times as many steps. A killed run goes on from
its last checkpoint when it is started again: each recipe has a folder of its own under ``--work``.
"""

import argparse
import csv
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.checksums import sha256
from detection.detectors import yolov5
from eval.average_precision import evaluate_yolo
from eval.labels import Labels
from fusion.fusers import average, ir_only, vis_only
from pipeline.engine.device import choose_dtype
from training import streets
from training.config import ScheduleConfig

MODEL = "yolov5n.yaml"
NAMES = {0: "person", 1: "bicycle", 2: "car"}  # COCO's ids; no scene has a bicycle
_ARMS = {
    "ir": ir_only.build(ir_only.Config()),
    "vis": vis_only.build(vis_only.Config()),
    "average": average.build(average.Config()),
}


_FROM_RANDOM = ScheduleConfig(steps=3000, learning_rate=2e-3, warmup=200, ema=0.998, clip=150.0)
_GOING_ON = ScheduleConfig(steps=600, learning_rate=1e-3, warmup=50, ema=0.998, clip=150.0)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the network is trained, and on how many streets.

    Attributes:
        begun_from: sha256 of the weights that it begins with; empty for random ones.
    """

    begun_from: str = ""
    clips: int = 432
    frames: int = 4
    dev_clips: int = 72
    dev_frames: int = 2
    batch: int = 12
    weight_decay: float = 0.01
    save_every: int = 100
    schedule: ScheduleConfig = _FROM_RANDOM

    @property
    def plain(self) -> dict[str, Any]:
        """As values that JSON knows."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Pairs, uint8 [n, H, W, 4] of red, green, blue and infrared; labels; times of day."""

    images: NDArray[np.uint8]
    labels: list[Labels]
    times: NDArray[np.str_]


def draw_clip(seed: int, frames: int) -> tuple[NDArray[np.uint8], list[Labels]]:
    """Some frames of one street."""
    cv2.setNumThreads(1)  # every process has its own streets: more threads would only wait
    scenes = list(streets.scenes(seed, frames))
    images = np.stack([np.dstack([scene.vis, scene.ir]) for scene in scenes])
    return images, [scene.labels for scene in scenes]


def draw_scenes(path: Path, first_seed: int, clips: int, frames: int) -> Scenes:
    """Draw streets into a file, which is read where a run before drew them already."""
    boxes = path.with_suffix(".npz")
    if not boxes.exists():
        shape = (clips * frames, *streets.SIZE, 4)
        images = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
        parts: dict[str, NDArray[Any]] = {}
        seeds = range(first_seed, first_seed + clips)
        with ProcessPoolExecutor(2) as pool:
            drawn = pool.map(draw_clip, seeds, [frames] * clips, chunksize=8)
            for number, (pictures, labels) in enumerate(drawn):
                images[number * frames : (number + 1) * frames] = pictures
                for index, truth in enumerate(labels, start=number * frames):
                    parts[f"xyxy{index}"] = truth.xyxy
                    parts[f"class{index}"] = truth.class_id
                    parts[f"ignore{index}"] = truth.ignore
        images.flush()
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, allow_pickle=False, **parts)
        partial.rename(boxes)
    with np.load(boxes) as saved:
        labels = [
            Labels(saved[f"xyxy{i}"], saved[f"class{i}"], saved[f"ignore{i}"])
            for i in range(clips * frames)
        ]
    seeds = range(first_seed, first_seed + clips)
    times = np.array([streets.conditions(seed).time for seed in seeds]).repeat(frames)
    return Scenes(np.load(path, mmap_mode="r"), labels, times)


def arm_image(pair: NDArray[np.uint8], arm: str) -> NDArray[np.uint8]:
    """What an arm shows of a pair [H, W, 4]: uint8 [H, W, 3]."""
    planes = torch.from_numpy(np.array(pair)).permute(2, 0, 1)[None].float() / 255  # [1, 4, H, W]
    image = _ARMS[arm](ir=planes[:, 3:], vis=planes[:, :3])
    quantized = (image * 255).round().to(torch.uint8)
    return quantized[0].permute(1, 2, 0).contiguous().numpy()


def augment(
    image: NDArray[np.uint8], labels: Labels, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Labels]:
    """Flip, scale and shift, blur, and change brightness, contrast and noise.

    Returns:
        The image, float [H, W, 3] in [0, 1], and what is left of its boxes: those of which under
        three tenths remain are dropped.
    """
    height, width = image.shape[:2]
    scale = float(np.exp(rng.uniform(np.log(0.65), np.log(1.7))))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    slack = np.abs(1 - scale) * np.array([width, height])
    shift = rng.uniform(-0.5, 0.5, 2) * slack
    matrix = np.array([[flip * scale, 0, 0], [0, scale, 0]])
    matrix[:, 2] = np.array([width, height]) / 2 + shift
    matrix[:, 2] -= matrix[:, :2] @ np.array([width, height]) / 2
    out = cv2.warpAffine(image, matrix, (width, height), borderValue=(114, 114, 114))
    if rng.random() < 0.2:
        out = cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.3, 1.1)))
    picture = out.astype(np.float32) / 255
    picture = np.power(picture, np.float32(np.exp(rng.normal(0, 0.2))))
    picture = (picture - 0.5) * np.float32(rng.uniform(0.75, 1.25)) + 0.5
    picture += np.float32(rng.uniform(-0.08, 0.08))
    if rng.random() < 0.4:
        sigma = np.float32(rng.uniform(0, 0.03))
        picture += sigma * rng.standard_normal(picture.shape, np.float32)
    return np.clip(picture, 0, 1), _moved(labels, matrix, (height, width))


def _moved(labels: Labels, matrix: NDArray[np.float64], size: tuple[int, int]) -> Labels:
    x = labels.xyxy[:, [0, 2]] * matrix[0, 0] + matrix[0, 2]
    y = labels.xyxy[:, [1, 3]] * matrix[1, 1] + matrix[1, 2]
    whole = np.stack([x.min(axis=1), y.min(axis=1), x.max(axis=1), y.max(axis=1)], axis=1)
    height, width = size
    inside = np.clip(whole, 0, [width, height, width, height])
    area = np.prod(inside[:, 2:] - inside[:, :2], axis=1)
    keep = area > 0.3 * np.prod(whole[:, 2:] - whole[:, :2], axis=1)
    keep &= (inside[:, 2:] - inside[:, :2]).min(axis=1) > 2
    return Labels(inside[keep], labels.class_id[keep], np.zeros((0, 4)))


def make_batch(scenes: Scenes, recipe: Recipe, step: int) -> dict[str, Tensor]:
    """The batch of a step, the same whenever it is made: equal shares of the arms."""
    rng = np.random.default_rng([streets.FIRST_SEED, step])
    pictures, classes, boxes, owners = [], [], [], []
    arms = list(_ARMS)
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
    """Train to the end, from the work folder's checkpoint where there is one.

    Args:
        scenes: What it learns from.
        recipe: How.
        work: Folder of the checkpoint and the log.
        start: Weights to begin with; random ones without.

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
    """One step of the optimizer; the box, class and distribution losses an image."""
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
    # The average follows closely at first, when what it holds is still noise.
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
    """Score the file that was written on each arm and at each time of day: rows of a table."""
    config = yolov5.Config(
        weights=str(weights), image_size=streets.SIZE[1], conf=0.001, iou=0.6, multi_label=True
    )
    detector = yolov5.build(config, device=torch.device("cpu"))
    for arm in _ARMS:
        found = []
        for pair in scenes.images:
            image = torch.from_numpy(arm_image(pair, arm)).permute(2, 0, 1)[None]
            found += detector(image)
        for when in ("all", *sorted(set(scenes.times.tolist()))):
            some = np.flatnonzero((scenes.times == when) | (when == "all"))
            result = evaluate_yolo([found[i] for i in some], [scenes.labels[i] for i in some])
            figures = {"map50": result.map50, "map50_95": result.map50_95}
            figures |= {f"{NAMES[k]}_map50": r.map50 for k, r in result.per_class.items()}
            yield {"arm": arm, "when": when} | {k: f"{v:.3f}" for k, v in figures.items()}


def main() -> None:
    """Draw, train, write and validate."""
    parser = argparse.ArgumentParser(description="Train the detector of generated scenes.")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    default = Path(tempfile.gettempdir()) / "irvis-demo-detector"
    parser.add_argument("--start", type=Path, help="weights to go on from; default: random ones")
    parser.add_argument("--work", type=Path, default=default, help="scenes and checkpoint")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # so small a network gains nothing from a second thread
    start: Path | None = arguments.start
    recipe = Recipe()
    if start is not None:
        recipe = Recipe(begun_from=sha256(start), schedule=_GOING_ON)
    work = arguments.work / recipe.digest
    work.mkdir(parents=True, exist_ok=True)
    scenes = draw_scenes(work / "train.npy", streets.FIRST_SEED, recipe.clips, recipe.frames)
    dev = draw_scenes(
        work / "dev.npy", streets.VALIDATION_SEED, recipe.dev_clips, recipe.dev_frames
    )
    print("step,box,class,distribution,rate,seconds", flush=True)
    progress = train(scenes, recipe, work, start)
    progress.network.load_state_dict(progress.average)
    about = {key: str(value) for key, value in recipe.plain.items()}
    about |= {"training_seeds": f"{streets.FIRST_SEED}-{streets.FIRST_SEED + recipe.clips - 1}"}
    yolov5.save_network(arguments.out, progress.network, model=MODEL, names=NAMES, metadata=about)
    for number, row in enumerate(validate(arguments.out, dev)):
        if number == 0:
            print(",".join(row))
        print(",".join(row.values()), flush=True)
    print(f"trained in {progress.seconds / 60:.1f} minutes")


if __name__ == "__main__":
    main()
