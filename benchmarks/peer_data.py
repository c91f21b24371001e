"""The images, recordings and network that benchmarks/peers.py gives to both sides."""

import json
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from detection.detectors import yolov5
from eval.class_names import COCO_NAMES
from pipeline.sources import scenes

SIZE = (480, 640)  # height, width


def random_yolov5s(path, images):
    """Save a random YOLOv5s as ultralytics does, with some dozens of detections an image.

    Args:
        path: The new checkpoint.
        images: float [B, 3, H, W] in [0, 1], to which it is fitted.
    """
    torch.manual_seed(0)
    network: Any = yolov5.new_network("yolov5s.yaml", COCO_NAMES).eval()
    classifiers = [branch[-1] for branch in network.model[-1].cv3]
    spread = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]

    def to_unit(module, _, out):
        """Scale a layer so that its outputs spread by one, as those of trained ones do."""
        deviation = out.std()
        module.weight /= deviation
        return (out - module.bias[:, None, None]) / deviation

    hooks = [module.register_forward_hook(to_unit) for module in (*spread, *classifiers)]
    with torch.no_grad():
        network(images)
        for classifier in classifiers:
            classifier.bias.fill_(-12.0)
    for hook in hooks:
        hook.remove()
    del network.args
    torch.save({"model": network}, path)
    return path


def save_data(folder, frames):
    """Write a generated drive as images, labels and recordings."""
    settings = scenes.Config(frames=frames, clip=frames, time="day", size=SIZE)
    names = {"ir": "images", "vis": "visible"}  # ultralytics finds labels/ beside images/
    for name in (*names.values(), "labels"):
        (folder / name).mkdir(parents=True)
    code, size = cv2.VideoWriter.fourcc(*"mp4v"), SIZE[::-1]
    videos = {name: cv2.VideoWriter(str(folder / f"{name}.mp4"), code, 10, size) for name in names}
    with scenes.build(settings) as source:
        for pair in source:
            for name, images in names.items():
                image = np.atleast_3d(getattr(pair, name).image)  # [H, W, 1 or 3]
                rgb = np.broadcast_to(image, (*SIZE, 3))
                Image.fromarray(np.ascontiguousarray(rgb)).save(folder / images / f"{pair.key}.png")
                videos[name].write(np.ascontiguousarray(rgb[..., ::-1]))
            labels = source.labels(pair.key, SIZE)
            write_labels(folder / "labels" / f"{pair.key}.txt", labels)
    for video in videos.values():
        video.release()
    described = {"path": str(folder), "train": "images", "val": "images", "names": COCO_NAMES}
    (folder / "data.yaml").write_text(json.dumps(described))


def write_labels(path, labels):
    """Write labels as YOLO txt."""
    scale = np.array([*SIZE[::-1], *SIZE[::-1]])
    low, high = labels.xyxy[:, :2], labels.xyxy[:, 2:]
    boxes = np.hstack(((low + high) / 2, high - low)) / scale
    lines = (
        f"{class_id} {' '.join(f'{value:.6f}' for value in box)}\n"
        for class_id, box in zip(labels.class_id, boxes, strict=True)
    )
    path.write_text("".join(lines))


def images_of(folder):
    """The first four images, float [4, 3, H, W] in [0, 1]."""
    files = sorted((folder / "images").iterdir())[:4]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])  # [4, H, W, 3]
    return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
