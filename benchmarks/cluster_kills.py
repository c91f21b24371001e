"""Runs whose workers and driver are killed, and one whose worker always dies; see `cluster.py`."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from cluster_data import SMALL, configuration, still_drive
from cluster_runs import differing, finish, processes, ray, start, workers_of

from pipeline.images import write_png
from pipeline.run_folder.folder import partial_of
from pipeline.run_folder.names import RESULTS
from pipeline.run_folder.shard_folder import DONE, SHARDS, done_numbers

SHARD = 8  # pairs
HERE = ("compute.threads=1", f"compute.engine.shard={SHARD}")
THERE = (*ray(), f"compute.engine.shard={SHARD}")
SPACING = 5  # most shards between two kills
PAUSE_S = 1.0  # longest time from the last of these to the kill
LOOK_S = 0.02  # between two looks at a run
STUCK_S = 300.0  # longest time without another shard that is done
ACTORS = (b"ray::Worker", b"ray::IDLE")  # Ray's names of them
GONE_S = 30.0  # longest life of the workers of a driver that was killed
SINKS = {
    "results": {"kind": "results"},
    "fused": {"kind": "images", "arms": ["average"]},
    "lines": {"kind": "jsonl"},
}


class Watch:
    """Sees which shards of a run are done, and whether one is done again."""

    def __init__(self):
        self.shards, self.twice, self.longest_s = {}, set(), 0.0
        self._last = time.monotonic()

    def look(self, partial):
        with suppress(FileNotFoundError):  # the run has just begun, or ended
            for number in done_numbers(partial):
                about = (partial / SHARDS / f"{number:06d}" / DONE).stat()
                made = about.st_ino, about.st_mtime_ns
                if number not in self.shards:
                    self._last = time.monotonic()
                if self.shards.setdefault(number, made) != made:
                    self.twice.add(number)
        self.longest_s = max(self.longest_s, time.monotonic() - self._last)
        if self.longest_s > STUCK_S:
            sys.exit(f"no shard was done for {STUCK_S:.0f} s")


class Killer:
    """Kills at random moments while some worker computes a shard.

    Moments count from the next shard that is done, or the one after it and so on: by seconds alone,
    all would be in the first shards of a run whose workers take long to start.
    """

    def __init__(self, dice, workers, drivers):
        self._dice, self._done, self._due = dice, 0, 0.0
        self.victims = ["worker"] * workers + ["driver"] * drivers
        dice.shuffle(self.victims)
        self.ended_s = 0.0  # longest life of the workers of a driver that was killed

    def new_run(self):
        """Count shards from 0 again."""
        self._next(0)

    def _next(self, done):
        self._done, self._due = done + self._dice.randint(0, SPACING), 0.0

    def victim(self, pid, done):
        """Who is to die now, if any: `driver`, or the number of a worker.

        Args:
            pid: The driver.
            done: How many shards are done.
        """
        if not self.victims or done < self._done:
            return None
        self._due = self._due or time.monotonic() + self._dice.uniform(0, PAUSE_S)
        workers = workers_of(pid) if time.monotonic() > self._due else []
        if not workers:
            return None
        self._next(done)
        return "driver" if self.victims.pop() == "driver" else self._dice.choice(workers)

    def kill_driver(self, process):
        """Kill it; none of its workers may stay."""
        workers = workers_of(process.pid, ACTORS)
        process.kill()
        process.wait()
        begin = time.monotonic()
        while any(processes().get(n, (0, b""))[1].startswith(ACTORS) for n in workers):
            self.ended_s = max(self.ended_s, time.monotonic() - begin)
            if self.ended_s > GONE_S:
                sys.exit("a worker of a killed driver is left")
            time.sleep(LOOK_S)


def killed_run(config, folder, watch, killer):
    """Run and resume until it is complete; how often it gave a shard up."""
    partial, given_up = partial_of(folder), 0
    process = start(config, folder, *THERE, errors=subprocess.DEVNULL)
    while (code := process.poll()) != 0:
        watch.look(partial)
        time.sleep(LOOK_S)
        victim = killer.victim(process.pid, len(watch.shards)) if code is None else None
        if isinstance(victim, int):
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        elif victim == "driver":
            killer.kill_driver(process)
        elif code not in (None, 2):
            sys.exit(f"the run ended with {code}")
        if victim == "driver" or code == 2:
            given_up += code == 2
            process = start(config, folder, *THERE, "run.resume=true", errors=subprocess.DEVNULL)
    return given_up


def kills(arguments):
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    config = _drive(
        folder, arguments.pairs, {"kind": "yolov5", "weights": "demo", "image_size": 160}
    )
    finish(config, folder / "here", *HERE)
    failed = run_and_kill(folder, config, arguments)
    shutil.rmtree(folder)
    return failed


def run_and_kill(folder, config, arguments):
    """As many runs as it takes to kill all; whether anything is wrong."""
    dice = random.Random(arguments.seed)  # noqa: S311
    killer = Killer(dice, arguments.workers, arguments.drivers)
    print(f"seed {arguments.seed}: {arguments.pairs} pairs in shards of {SHARD}")
    failed, rounds = False, 0
    while killer.victims or not rounds:
        rounds, before, begin = rounds + 1, list(killer.victims), time.monotonic()
        killer.new_run()
        watch, there = Watch(), folder / f"there-{rounds}"
        given_up = killed_run(config, there, watch, killer)
        different = differing(folder / "here", there)
        dead = before[len(killer.victims) :]
        print(
            f"run {rounds}: killed {dead.count('worker')} workers and {dead.count('driver')} "
            f"drivers in {time.monotonic() - begin:.0f} s, gave a shard up {given_up} times; at "
            f"most {watch.longest_s:.0f} s without another shard"
        )
        print(
            f"  {len(watch.shards)} shards were done, computed twice: {len(watch.twice)}; files "
            f"that differ: {', '.join(different) or 'none'}",
            flush=True,
        )
        failed = failed or bool(different or watch.twice)
    print(f"workers of a killed driver ended within {killer.ended_s:.1f} s")
    return failed


def _drive(folder, pairs, detector):
    source = {"kind": "msrs", "root": str(still_drive(folder / "pairs", pairs))}
    compute = {"batch": 4, "device": "cpu"}
    return configuration(
        folder / "drive.yaml", source, SMALL, detector=detector, compute=compute, sinks=SINKS
    )


def deadly(arguments):
    """A run whose third shard always kills its worker: first it fails, then leaves that out."""
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    config = _drive(folder, 6 * SHARD, {"kind": "benchmarks.deadly"})
    white = sorted((folder / "pairs" / "vi").iterdir())[2 * SHARD + 5]
    write_png(white, np.full((*SMALL, 3), 255, np.uint8))
    begin = time.monotonic()
    process = start(config, folder / "there", *THERE, errors=subprocess.PIPE)
    _, errors = process.communicate(timeout=STUCK_S)
    done = done_numbers(partial_of(folder / "there"))
    print(errors.decode().splitlines()[-1])
    print(f"exit {process.returncode} after {time.monotonic() - begin:.0f} s; shards done: {done}")
    begin = time.monotonic()
    finish(config, folder / "there", *THERE, "run.resume=true", "run.on_bad_shard=skip")
    results = json.loads((folder / "there" / RESULTS).read_text())
    frames = results["frames"]
    warning = next(text for text in results["warnings"] if text.startswith("left out"))
    print(f"with skip, exit 0 after {time.monotonic() - begin:.0f} s: {warning}")
    print(f"{frames['paired']} pairs paired, {frames['failed']} failed")
    shutil.rmtree(folder)
    counts = frames["paired"], frames["failed"]
    return process.returncode != 2 or done != [0, 1, 3, 4, 5] or counts != (5 * SHARD, SHARD)
