"""Time and size of a report: `python benchmarks/report.py [--images 361] [--check]`.

Runs repeated 320x256 images of a drive with five arms, random labels and a random detector through
the pipeline, and times `irvis report` on the run folder, from reading its files to writing the
page. With --check the exit code is 1 if that takes 20 s or more, or the page has 5 MB or more.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import Tensor

from detection.boxes import Detections
from eval.labels import Labels
from pipeline.commands import report
from pipeline.config import config
from pipeline.config.components import Component
from pipeline.engine import runner
from pipeline.frames import FramePair
from pipeline.interfaces import Source
from pipeline.sources import scenes

HEIGHT, WIDTH, OBJECTS = 256, 320, 8
WANTED_S, WANTED_MB = 20, 5


class Settings(BaseModel):
    """No settings."""


class Pairs(Source):
    """Images with labels."""

    has_labels = True
    keys: Sequence[str] = ()

    def __init__(self, images: int) -> None:
        self.keys = [f"{index:06d}{'DN'[index % 2]}" for index in range(images)]
        settings = scenes.Config(frames=16, clip=1, size=(HEIGHT, WIDTH), time="both")
        with scenes.build(settings) as source:
            self._pairs = [pair.whole() for pair in source]

    @property
    def count(self) -> int:
        return len(self.keys)

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        xyxy, classes = objects(int(key[:-1]))
        return Labels(xyxy, classes, np.zeros((0, 4)))

    def label_classes(self, key: str) -> NDArray[np.int64]:
        return objects(int(key[:-1]))[1]

    def __iter__(self) -> Iterator[FramePair]:
        for index, key in enumerate(self.keys):
            _, ir, vis = self._pairs[index % len(self._pairs)]
            yield FramePair(key, replace(ir, index=index), replace(vis, index=index))


class RandomDetector:
    """Detects each object of the next image with a probability, and some false positives.

    The runner calls it for the arms of a batch one after another.
    """

    names: Mapping[int, str] = {0: "person", 2: "car"}
    fingerprint: Mapping[str, object] = {
        "network": "chance", "head": "none", "weights": "none", "weights_sha256": "0", "conf": 0.0,
        "iou": 0.5,
    }  # fmt: skip

    def __init__(self, arms: int) -> None:
        self._rng, self._arms, self._calls = np.random.default_rng(0), arms, 0

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        return size

    def __call__(self, images: Tensor) -> list[Detections]:
        first = self._calls // self._arms * len(images)
        self._calls += 1
        return [self._one(first + index) for index in range(len(images))]

    def _one(self, index: int) -> Detections:
        xyxy, classes = objects(index)
        hit = self._rng.random(OBJECTS) < 0.7
        near = xyxy[hit] + self._rng.normal(0, 1.5, (hit.sum(), 4))
        wrong = np.sort(self._rng.uniform(0, 200, (2, 2, 2)), axis=1).reshape(2, 4)
        every = np.vstack((near, wrong)).astype(np.float32)
        scores = self._rng.uniform(0.05, 1, len(every)).astype(np.float32)
        return Detections(every, scores, np.append(classes[hit], (0, 2)))


def objects(index: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Boxes (n, 4) and class ids (n,) of an image."""
    rng = np.random.default_rng([1, index])
    corner = rng.uniform(0, (WIDTH - 90, HEIGHT - 90), (OBJECTS, 2))
    return np.hstack((corner, corner + rng.uniform(10, 90, (OBJECTS, 2)))), np.array([0, 2] * 4)


def run(images: int, folder: Path) -> Path:
    """Make a run and return its folder."""
    kinds = ("average", "maximum", "ir_only", "vis_only")
    checked = config.check({
        "run": {"dir": str(folder / "run")},
        "source": {"kind": "scenes"},  # replaced below, as is the detector
        "arms": {
            **{kind: {"kind": kind} for kind in kinds},
            "late": {"kind": "late", "arms": ["ir_only", "vis_only"]},
        },
        "detector": {"kind": "yolov5", "weights": "demo"},
        "compute": {"device": "cpu"},
        "sinks": {"results": {"kind": "results"}, "report": {"kind": "report"}},
    })  # fmt: skip
    source: Any = SimpleNamespace(build=lambda settings, names: Pairs(images))
    detector: Any = SimpleNamespace(build=lambda settings, device: RandomDetector(len(kinds)))
    replacements: dict[str, Any] = {
        "source": Component("drive", source, Settings()),
        "detector": Component("chance", detector, Settings()),
    }
    return runner.run(replace(checked, **replacements), lambda done, total: None).folder


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=361)
    parser.add_argument("--check", action="store_true")
    parsed = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.2f}")
    with tempfile.TemporaryDirectory() as temporary:
        start = time.perf_counter()
        folder = run(parsed.images, Path(temporary))
        whole = time.perf_counter() - start
        start = time.perf_counter()
        page = report.report([folder], None)
        seconds = time.perf_counter() - start
        size = page.stat().st_size / 1e6
        crops = page.read_text(encoding="utf-8").count("<li data-class")
    print(f"{parsed.images} images, 5 arms: the run with its report {whole:.1f} s")
    print(f"the report alone {seconds:.1f} s (under {WANTED_S}), {seconds / whole:.0%} of the run")
    print(f"{size:.2f} MB (under {WANTED_MB}), {crops} crops")
    return int(parsed.check and (seconds >= WANTED_S or size >= WANTED_MB))


if __name__ == "__main__":
    sys.exit(main())
