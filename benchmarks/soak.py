"""Memory over a long run: `python benchmarks/soak.py [--frames 50000]`.

Sends pairs of 320x256 through a whole run (decode, prepare, compute, write, with the sinks results,
jsonl, parquet and video) and prints resident memory, threads and open files every 5,000 frames.
The exit code is 1 if memory at the end is 30 MB or more over that at 10,000 frames, or if the
number of threads or files has grown.

To save time, 200 frames of a generated drive are drawn once and repeated by two recordings, which
are decoded in threads and paired by time like files. The arms are cheap, and the detector returns
three random boxes per image.
"""

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor

from detection.boxes import Detections
from pipeline.config import config
from pipeline.config.components import Component
from pipeline.engine import runner
from pipeline.frames import Frame, Image
from pipeline.sources import scenes
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._stream import RecordingInfo

DRAWN, EVERY, SETTLED = 200, 5_000, 10_000
HEIGHT, WIDTH = 256, 320
RATE = 10
WANTED_MB = 30


class Settings(BaseModel):
    """No settings."""


class Repeated:
    """A camera that repeats some images; see ``pipeline.sources._recordings.Stream``."""

    rate, info = Fraction(RATE), RecordingInfo()

    def __init__(self, images: Image, frames: int) -> None:
        self.frames, self._images = frames, images

    def key(self, index: int) -> str:
        return f"{index:06d}"

    def close(self) -> None: ...

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.frames):
            # a copy, as a decoder makes one
            image = self._images[index % len(self._images)].copy()
            yield Frame(image, index * 10**9 // RATE, index)


class ThreeBoxes:
    """A detector that returns three random boxes per image."""

    names: Mapping[int, str] = {0: "person", 1: "bicycle", 2: "car"}
    fingerprint: Mapping[str, object] = {
        "network": "none", "head": "none", "weights": "none", "weights_sha256": "0", "conf": 0.0,
        "iou": 0.5,
    }  # fmt: skip

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        return size

    def __call__(self, images: Tensor) -> list[Detections]:
        return [self._one() for _ in images]

    def _one(self) -> Detections:
        corner = self._rng.uniform(0, (WIDTH - 60, HEIGHT - 60), (3, 2))
        xyxy = np.hstack((corner, corner + self._rng.uniform(5, 60, (3, 2))))
        scores = self._rng.uniform(0.1, 1, 3)
        return Detections(
            xyxy.astype(np.float32), scores.astype(np.float32), self._rng.integers(0, 3, 3)
        )


class State(NamedTuple):
    """Memory, threads and files of the process."""

    frames: int
    memory_mb: float
    threads: int
    files: int

    @classmethod
    def now(cls, frames: int) -> "State":
        """The current state of this process; Linux only."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        counts = [len(list(Path(f"/proc/self/{name}").iterdir())) for name in ("task", "fd")]
        return cls(frames, memory, *counts)


def draw(folder: Path) -> None:
    """Write the infrared and visible images of a generated drive."""
    settings = scenes.Config(frames=DRAWN, clip=DRAWN, size=(HEIGHT, WIDTH), time="day")
    with scenes.build(settings) as source:
        pairs = [pair.whole() for pair in source]
    np.save(folder / "ir.npy", [pair.ir.image for pair in pairs])  # [n, H, W]
    np.save(folder / "vis.npy", [pair.vis.image for pair in pairs])  # [n, H, W, 3]


def drawn(folder: Path) -> tuple[Image, Image]:
    """The images, drawn in another process so that memory it frees does not hide a leak."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        process.submit(draw, folder).result()
    return np.load(folder / "ir.npy"), np.load(folder / "vis.npy")


def configuration(frames: int, folder: Path) -> config.Config:
    """The configuration of the run, written to a folder."""
    ir, vis = drawn(folder)
    checked = config.check({
        "run": {"dir": str(folder / "run")},
        "source": {"kind": "scenes"},  # replaced below
        "arms": {
            "fused": {"kind": "average"}, "ir": {"kind": "ir_only"}, "vis": {"kind": "vis_only"},
            "late": {"kind": "late", "arms": ["ir", "vis"]},
        },
        "detector": {"kind": "yolov5", "weights": "demo"},  # replaced below
        "compute": {"device": "cpu"},
        "sinks": {
            "results": {"kind": "results"}, "log": {"kind": "jsonl"}, "table": {"kind": "parquet"},
            "film": {"kind": "video", "arms": ["fused"]},
        },
    })  # fmt: skip

    def source(config: Settings, names: Mapping[int, str]) -> RecordedPairs:
        return RecordedPairs(lambda: (Repeated(ir, frames), Repeated(vis, frames)), Timing())

    def detector(config: Settings, device: torch.device) -> ThreeBoxes:
        return ThreeBoxes()

    modules: list[Any] = [SimpleNamespace(build=build) for build in (source, detector)]
    return replace(
        checked,
        source=Component("repeated", modules[0], Settings()),
        detector=Component("three_boxes", modules[1], Settings()),
    )


def soak(frames: int) -> list[State]:
    """The states of the process during a run."""
    states: list[State] = []
    start = time.perf_counter()

    def on_progress(done: int, total: int | None) -> None:
        if done // EVERY > len(states):
            states.append(State.now(done))
            print_state(states[-1], time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as temporary:
        checked = configuration(frames, Path(temporary))
        outcome = runner.run(checked, on_progress)
    print(f"{outcome.summary.frames['paired']} pairs; after the evaluation:")
    print_state(State.now(frames), time.perf_counter() - start)
    return states


def print_state(state: State, seconds: float) -> None:
    """Print one line."""
    print(
        f"{state.frames:7,} frames, {seconds:6.0f} s: {state.memory_mb:7.1f} MB resident, "
        f"{state.threads} threads, {state.files} open files",
        flush=True,
    )


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=50_000)
    frames = parser.parse_args().frames
    states = soak(frames)
    settled = [state for state in states if state.frames >= SETTLED]
    if len(settled) < 2:
        print(f"nothing to compare: give at least {SETTLED + EVERY} frames")
        return 1
    first, last = settled[0], settled[-1]
    grown = last.memory_mb - first.memory_mb
    print(f"from {first.frames:,} to {last.frames:,} frames: {grown:+.1f} MB (under {WANTED_MB})")
    more = last.threads > first.threads or last.files > first.files
    if more:
        print("threads or open files have become more")
    return int(more or grown >= WANTED_MB)


if __name__ == "__main__":
    sys.exit(main())
