"""Runs by Ray's actors on this machine against the same run in one process.

``python benchmarks/cluster.py equal CONFIG [OVERRIDE ...] ``
    computes a configuration here and by two actors, whose workers are killed at 20 random moments,
    and whose driver is killed at 5 others and resumed. Claim: the same bytes in all files but the
    times, and no shard that is done is computed again.
``python benchmarks/cluster.py speed CONFIG [OVERRIDE ...]``
    seconds here in two threads and by two actors of one thread each.
``python benchmarks/cluster.py overhead``
    CPU seconds that a worker needs for a shard beyond its pairs: small images, no detector.
``python benchmarks/cluster.py merge [--pairs 1000 4000 16000] [--detections 80] [--arms 6]``
    seconds and memory of the driver, from shards that are done to the results, on made detections;
    ``--draws`` of the bootstrap, 2,000 by default.
    Claim: the seconds grow with an exponent of at most 1.1.

Each run is a process of its own; times are of the wall, CPU seconds beside them where another
program may keep the machine busy.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from pipeline.run_folder.folder import partial_of
from pipeline.run_folder.shard_folder import SHARDS, done_numbers

ROOT = Path(__file__).parents[1]
OWN = ("timing.json", "config.yaml")  # files that tell of the run, not of its pairs
LIMIT = 1.1


def start(config, folder, overrides):
    """Start a run, its errors on ours."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), config, f"run.dir={folder}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(  # noqa: S603
        [*command, *overrides], stdout=subprocess.DEVNULL, env=environment
    )


def finish(config, folder, overrides):
    """Run to the end: wall seconds, and CPU seconds of all its processes."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    code = start(config, folder, overrides).wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        sys.exit(f"the run ended with {code}")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.perf_counter() - begin, cpu


def ray(workers=2, threads=1):
    return [
        "compute.engine.kind=ray", f"compute.engine.workers={workers}", f"compute.threads={threads}"
    ]  # fmt: skip


def differing(one, other):
    """Names of the files that differ, or that only one of them has."""
    found = [
        {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        for folder in (one, other)
    ]
    names = {name for files in found for name in files} - set(OWN)
    a, b = found
    return sorted(
        n for n in names if n not in a or n not in b or a[n].read_bytes() != b[n].read_bytes()
    )


def workers_of(driver):
    """Process ids of the actors that work for a driver, by the names that Ray gives them."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text()
            names[int(path.name)] = (path / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(path.name)] = int(stat.rpartition(")")[2].split()[1])

    def mine(pid):
        while pid in parents and pid != driver:
            pid = parents[pid]
        return pid == driver

    return [pid for pid, name in names.items() if name.startswith(b"ray::Worker") and mine(pid)]


def equal(arguments):
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    finish(arguments.config, folder / "here", [*arguments.overrides, "compute.threads=1"])
    there = folder / "there"
    dice = random.Random(arguments.seed)  # noqa: S311
    partial, overrides = partial_of(there), [*arguments.overrides, *ray()]
    workers = drivers = 0
    shards = {}  # by number of a shard that is done: its folder's inode, which another would change
    twice = set()
    given_up = 0  # runs that ended because a shard had been killed three times
    process = start(arguments.config, there, overrides)
    next_kill = time.monotonic() + dice.uniform(*arguments.every)
    while (code := process.poll()) != 0:
        if code == 2 and given_up < arguments.workers_killed:
            given_up += 1
            more = ["run.resume=true"] if partial.is_dir() else []  # nothing was done at all
            process = start(arguments.config, there, [*overrides, *more])
        elif code is not None:
            sys.exit(f"the run ended with {code}")
        time.sleep(0.02)
        with suppress(FileNotFoundError):  # the run has just begun, or ended
            for number in done_numbers(partial):
                inode = (partial / SHARDS / f"{number:06d}").stat().st_ino
                if shards.setdefault(number, inode) != inode:
                    twice.add(number)
        if time.monotonic() < next_kill:
            continue
        next_kill = time.monotonic() + dice.uniform(*arguments.every)
        pids = workers_of(process.pid)
        kill_driver = dice.random() * (arguments.workers_killed + arguments.drivers_killed)
        if kill_driver < arguments.drivers_killed and drivers < arguments.drivers_killed and shards:
            process.kill()
            process.wait()
            drivers += 1
            time.sleep(dice.uniform(0, 2))
            process = start(arguments.config, there, [*overrides, "run.resume=true"])
        elif pids and workers < arguments.workers_killed:
            os.kill(dice.choice(pids), signal.SIGKILL)
            workers += 1
    different = differing(folder / "here", there)
    print(f"killed {workers} workers and {drivers} drivers; one shard three times: {given_up}")
    print(f"{len(shards)} shards were seen, {len(twice)} of them computed twice")
    print(f"files that differ: {', '.join(different) or 'none'}")
    shutil.rmtree(folder)
    return 1 if different or twice else 0


def speed(arguments):
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    seconds = {}
    for name, more in {
        "one process, two threads": ["compute.threads=2"],
        "one process, one thread": ["compute.threads=1"],
        "two actors, one thread each": ray(),
    }.items():
        path = folder / name.replace(" ", "_")
        wall, cpu = finish(arguments.config, path, [*arguments.overrides, *more])
        timing = json.loads((path / "timing.json").read_text())
        seconds[name] = timing["wall_s"]
        print(f"{name}: {timing['wall_s']:.1f} s of the run, {wall:.1f} s in all, {cpu:.1f} s CPU")
    ratio = seconds["one process, two threads"] / seconds["two actors, one thread each"]
    print(f"two actors are {ratio:.2f} times as fast as two threads")
    shutil.rmtree(folder)
    return 0


def merge(arguments):
    points = []
    for pairs in arguments.pairs:
        command = [sys.executable, __file__, "merge-one", str(pairs)]
        command += [
            f"--{name}={getattr(arguments, name)}" for name in ("detections", "arms", "draws")
        ]
        out = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        found = json.loads(out.stdout.splitlines()[-1])
        points.append((pairs, found["cpu_s"]))
        print(
            f"{pairs} pairs: {found['cpu_s']:.1f} s CPU ({found['evaluate_s']:.1f} s of it the "
            f"evaluation), {found['peak_mb']:.0f} MB"
        )
    if len(points) < 2:
        return 0
    sizes, seconds = np.log(np.array(points)).T
    exponent, _ = np.polyfit(sizes, seconds, 1)
    print(f"exponent {exponent:.2f}, at most {LIMIT}")
    return 1 if exponent > LIMIT else 0


def overhead(arguments):
    from cluster_shards import shard_cost

    print(f"a shard costs a worker {1e3 * shard_cost(arguments.pairs):.1f} ms CPU beyond its pairs")
    return 0


def merge_one(arguments):
    """Write shards as workers do, and let a run join and score them."""
    from cluster_shards import run_on_made_shards

    wanted = arguments.pairs[0], arguments.detections, arguments.arms, arguments.draws
    print(json.dumps(run_on_made_shards(*wanted)))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(required=True)
    for name, work in (("equal", equal), ("speed", speed)):
        part = parts.add_parser(name)
        part.add_argument("config")
        part.add_argument("overrides", nargs="*")
        part.set_defaults(work=work)
        if work is equal:
            part.add_argument("--workers-killed", type=int, default=20)
            part.add_argument("--drivers-killed", type=int, default=5)
            part.add_argument("--every", type=float, nargs=2, default=(6.0, 14.0))
            part.add_argument("--seed", type=int, default=0)
    for name, work in (("merge", merge), ("merge-one", merge_one)):
        part = parts.add_parser(name)
        many = {"nargs": "+", "default": [1000, 4000, 16000]} if work is merge else {"nargs": 1}
        part.add_argument("--pairs" if work is merge else "pairs", type=int, **many)
        part.add_argument("--detections", type=int, default=80)
        part.add_argument("--arms", type=int, default=6)
        part.add_argument("--draws", type=int, default=2000)
        part.set_defaults(work=work)
    part = parts.add_parser("overhead")
    part.add_argument("--pairs", type=int, default=256)
    part.set_defaults(work=overhead)
    arguments = parser.parse_args()
    return arguments.work(arguments)


if __name__ == "__main__":
    sys.exit(main())
