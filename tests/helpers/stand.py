"""Sinks by themselves: a context, results that are made up, and runs that break off.

A kill is a copy of the run folder, made while the sink is in the middle of its work: what is on
the disk then is what a killed process leaves. The resumed sink works on the copy.
"""

import resource
import shutil
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import torch

from detection.boxes import Detections
from pipeline.frames import Frame, FramePair, Item, Result
from pipeline.interfaces import RunContext, Summary
from tests.helpers import toys

SIZE = (48, 64)
ARMS = ("fused", "ir")


def context(folder, done=0, **more):
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "folder": folder,
        "arms": (*ARMS, "late"),
        "image_arms": ARMS,
        "detector": toys.BrightBox(),
        "frame_rate": Fraction(25),
        "labelled": False,
        "protocol": {},
        "classes": None,
        "done": done,
        "baselines": {"ir": "ir", "vis": None},
        **more,
    }
    return RunContext(**values)


def summary(pairs):
    frames = {"paired": pairs, "unpaired": 0, "dropped": 0, "failed": 0, "fallback": 0}
    return Summary(frames, objects=0, labelled_objects=0, leaked={})


def found(*rows):
    """Detections of rows x1, y1, x2, y2, score, class id."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(
        table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(int)
    )


def result(
    number, time_ns=None, *, key=None, size=SIZE, detections=None, labels=None, quality=None
):
    """A pair of noise; by default a box that moves, nothing on every third pair, none of `late`."""
    rng = np.random.default_rng(number)
    image = rng.integers(0, 80, (*size, 3), np.uint8)
    image[8:20, 4 + number % 30 : 16 + number % 30] = 240
    frame = Frame(image, time_ns, number)
    if detections is None:
        box = found((4 + number, 8, 16.25 + number, 20, 0.9, 0), (40, 5, 50, 25, 0.4, 2))
        nothing = found()
        mine = nothing if number % 3 == 2 else box
        detections = {"fused": box, "ir": mine, "late": nothing}
    pair = FramePair(
        f"{number:06d}" if key is None else key, Frame(image, time_ns, 2 * number), frame
    )
    fused = torch.from_numpy(image).permute(2, 0, 1)
    pictures = {"fused": fused, "ir": 255 - fused}
    return Result(number, Item(pair, labels, {}), pictures, detections, quality or {})


def write(sink, results, every=4):
    """As the runner does: a checkpoint after every so many pairs."""
    for one in results:
        sink.write(one)
        if (one.number + 1) % every == 0:
            sink.flush()


def run(build, folder, results, every=4):
    """An unbroken run; ``build`` makes the sink from a context."""
    with build(context(folder)) as sink:
        write(sink, results, every)
        sink.flush()
        sink.finish(summary(len(results)))
    return folder


def broken_run(build, folder, results, kills, every=4):
    """A run that is killed after so many pairs, each time resumed from its last checkpoint."""
    start = 0
    for number, kill in enumerate((*kills, len(results))):
        sink = build(context(folder, start))
        write(sink, results[start:kill], every)
        if kill < len(results):
            start = kill - kill % every
            left = folder.with_name(f"{folder.name}-{number}")
            shutil.copytree(folder, left)
            sink.__exit__(None, None, None)
            folder = left
        else:
            sink.flush()
            sink.finish(summary(len(results)))
            sink.__exit__(None, None, None)
    return folder


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@contextmanager
def full_disk(size):
    """No file can be longer than so many bytes meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
