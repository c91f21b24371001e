"""Runs as processes of their own, the files that they leave, their workers; see `cluster.py`."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).parents[1]
OWN = ("timing.json", "config.yaml", "report.html")  # names of the run and its times are in them


def start(config, folder, *overrides, errors=None):
    """Start a run, its errors on ours unless they have another place."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), str(config), f"run.dir={folder}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(  # noqa: S603
        [*command, *overrides], stdout=subprocess.DEVNULL, stderr=errors, env=environment
    )


def finish(config, folder, *overrides):
    """Run to the end: its seconds, and the content of its times."""
    begin = time.perf_counter()
    if code := start(config, folder, *overrides).wait():
        sys.exit(f"the run ended with {code}")
    return time.perf_counter() - begin, json.loads((folder / "timing.json").read_text())


def ray(workers=2, threads=1):
    return (
        "compute.engine.kind=ray",
        f"compute.engine.workers={workers}",
        f"compute.threads={threads}",
    )


def files(folder):
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path for name, path in found.items() if name not in OWN}


def differing(one, other):
    """Names of the files that differ, or that only one of them has; videos by frames and times."""
    a, b = files(one), files(other)
    return sorted(n for n in {*a, *b} if n not in a or n not in b or not equal(a[n], b[n]))


def equal(one, other):
    if one.read_bytes() == other.read_bytes():
        return True
    return one.suffix == ".mp4" and frames(one) == frames(other)


def frames(path):
    """The time of each frame of a video, and a number that stands for its pixels."""
    with av.open(str(path)) as video:
        found = [(f.time, f.to_ndarray(format="rgb24")) for f in video.decode(video=0)]
    return [(moment, hash(np.ascontiguousarray(image).tobytes())) for moment, image in found]


def processes():
    """Parent and command of each process of this machine by its number."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat, command = (path / "stat").read_text(), (path / "cmdline").read_bytes()
        except OSError:
            continue
        found[int(path.name)] = int(stat.rpartition(")")[2].split()[1]), command
    return found


def below(driver):
    """Numbers and commands of all processes that a driver started, directly or not."""
    every = processes()

    def mine(number):
        while number in every and number != driver:
            number = every[number][0]
        return number == driver

    return {n: command for n, (_, command) in every.items() if n != driver and mine(n)}


def workers_of(driver, names=(b"ray::Worker.work",)):
    """Numbers of a driver's actors, by the names that Ray gives them; by default of busy ones."""
    return [n for n, command in below(driver).items() if command.startswith(names)]
