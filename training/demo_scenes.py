"""The training images of the demo detector: generated streets as each arm shows them."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from eval.labels import Labels
from fusion.fusers import average, ir_only, vis_only
from training import streets

ARMS = {
    "ir": ir_only.build(ir_only.Config()),
    "vis": vis_only.build(vis_only.Config()),
    "average": average.build(average.Config()),
}


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Generated pairs.

    Attributes:
        images: uint8 [n, H, W, 4]: red, green, blue, infrared.
        labels: Labels of each pair.
        times: Time of day of each pair.
    """

    images: NDArray[np.uint8]
    labels: list[Labels]
    times: NDArray[np.str_]


def draw_clip(seed: int, frames: int) -> tuple[NDArray[np.uint8], list[Labels]]:
    """Draw the pairs of one street: uint8 [frames, H, W, 4] and their labels."""
    cv2.setNumThreads(1)  # the processes already use all cores
    scenes = list(streets.scenes(seed, frames))
    images = np.stack([np.dstack([scene.vis, scene.ir]) for scene in scenes])
    return images, [scene.labels for scene in scenes]


def draw_scenes(path: Path, first_seed: int, clips: int, frames: int) -> Scenes:
    """Draw streets into a file, or read them from it if an earlier run has drawn them."""
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
    """The image that an arm makes of a pair, uint8 [H, W, 4] to uint8 [H, W, 3]."""
    planes = torch.from_numpy(np.array(pair)).permute(2, 0, 1)[None].float() / 255  # [1, 4, H, W]
    image = ARMS[arm](ir=planes[:, 3:], vis=planes[:, :3])
    quantized = (image * 255).round().to(torch.uint8)
    return quantized[0].permute(1, 2, 0).contiguous().numpy()


def augment(
    image: NDArray[np.uint8], labels: Labels, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Labels]:
    """Flip, scale and shift, blur, and change brightness, contrast and noise.

    Returns:
        The image, float32 [H, W, 3] in [0, 1], and its boxes, clipped to it. A box is dropped if
        less than three tenths of its area remain.
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
