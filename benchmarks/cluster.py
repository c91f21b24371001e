"""Runs by Ray's actors on this machine against the same run in one process.

``python benchmarks/cluster.py equal [--cases msrs drive collection] [--frames 40]``
    computes the shared MSRS pairs, a generated drive and a collection of three recordings here and
    by two actors. Claim: the same bytes in all files but `timing.json`, `config.yaml` and
    `report.html`; videos by their frames and times.
``python benchmarks/cluster.py kills [--seed 0] [--workers 20] [--drivers 5]``
    kills workers and the driver at random moments of runs on a generated drive, and resumes the
    driver. Claim: the same bytes, no shard that is done is computed again, nothing takes for ever.
``python benchmarks/cluster.py deadly``
    a shard always kills its worker. Claim: all others are computed, the run ends with exit code 2,
    and `run.on_bad_shard=skip` leaves it out.
``python benchmarks/cluster.py speed [--pairs 300]``
    seconds here in two threads and by two actors of one thread each: MSRS, and a longer drive.
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
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from cluster_data import cases, long_cases
from cluster_kills import deadly, kills
from cluster_runs import differing, files, finish, ray

LIMIT = 1.1


def equal(arguments):
    folder, failed = Path(tempfile.mkdtemp(prefix="cluster-")), False
    for name, (config, *overrides) in cases(folder, arguments.frames).items():
        if name not in arguments.cases:
            continue
        here, there = folder / name / "here", folder / name / "there"
        finish(config, here, *overrides, "compute.threads=1")
        _, timing = finish(config, there, *overrides, *ray())
        different = differing(here, there)
        print(
            f"{name}: {timing['pairs']} pairs by {timing['machine']['workers']} workers, "
            f"{len(files(here))} files; that differ: {', '.join(different) or 'none'}",
            flush=True,
        )
        failed = failed or bool(different)
    shutil.rmtree(folder)
    return failed


def speed(arguments):
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    for name, (config, *overrides) in long_cases(folder, arguments.pairs).items():
        seconds = {}
        for how, more in {
            "one process, two threads": ("compute.threads=2",),
            "two actors, one thread each": ray(),
        }.items():
            path = folder / name / how.replace(" ", "_")
            wall, timing = finish(config, path, *overrides, *more)
            seconds[how] = timing["wall_s"]
            print(f"{name}, {how}: {timing['wall_s']:.1f} s of {wall:.1f} s", flush=True)
        ratio = seconds["one process, two threads"] / seconds["two actors, one thread each"]
        print(f"{name}: two actors are {ratio:.2f} times as fast as two threads")
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
    part = parts.add_parser("equal")
    every = ["msrs", "drive", "collection"]
    part.add_argument("--cases", nargs="+", choices=every, default=every)
    part.add_argument("--frames", type=int, default=40)
    part.set_defaults(work=equal)
    part = parts.add_parser("kills")
    part.add_argument("--seed", type=int, default=0)
    part.add_argument("--workers", type=int, default=20)
    part.add_argument("--drivers", type=int, default=5)
    part.add_argument("--pairs", type=int, default=600)
    part.set_defaults(work=kills)
    parts.add_parser("deadly").set_defaults(work=deadly)
    part = parts.add_parser("speed")
    part.add_argument("--pairs", type=int, default=300)
    part.set_defaults(work=speed)
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
