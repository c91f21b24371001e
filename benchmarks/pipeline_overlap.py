"""Overlap of the stages: `python benchmarks/pipeline_overlap.py [--frames 120] [--check]`.

Runs a generated drive through the demo's pipeline (decode, prepare and upload, compute and write in
parallel; on a GPU if there is one) and prints its wall time and the busy time of each stage; then
times each stage alone on the same pairs. With --check the exit code is 1 if the run takes over 1.1
times its busiest stage.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from common.device import choose_device
from pipeline.config import config
from pipeline.config.config import DEFAULT, Config
from pipeline.engine import runner
from pipeline.engine.admission import Admission
from pipeline.engine.building import build_arms
from pipeline.engine.compute import Compute, batches
from pipeline.engine.ledger import Ledger
from pipeline.engine.preparation import Preparation
from pipeline.engine.protocol import baselines
from pipeline.frames import Item, PairBatch
from pipeline.interfaces import RunContext
from pipeline.run_folder.names import LEDGER

WANTED = 1.1
_T = TypeVar("_T")


def timed(work: Callable[[], _T]) -> tuple[float, _T]:
    """Time in seconds, and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def settings(frames: int, folder: Path) -> Config:
    """The demo's configuration, written to a folder."""
    source = ["source.time=day", f"source.frames={frames}", f"source.clip={frames}"]
    return config.load(DEFAULT, [*source, f"run.dir={folder}"])


def together(frames: int, folder: Path) -> tuple[float, dict[str, float]]:
    """Seconds from the first pair to the last, and each stage's busy seconds."""
    stages = runner.run(settings(frames, folder), lambda done, total: None).timing["stages"]
    writing = stages["write"]  # the last stage, which is busy or waiting all the time
    wall = writing["busy_s"] + writing["wait_s"]
    busy = {name: stage["busy_s"] for name, stage in stages.items() if name != "evaluate"}
    return wall, busy


def alone(frames: int, folder: Path) -> dict[str, float]:
    """Seconds of each stage without the others."""
    checked = settings(frames, folder / "unused")
    device = choose_device(checked.compute.device)
    detector = checked.detector.module.build(checked.detector.config, device=device)
    arms = build_arms(checked, device)
    compute = Compute(
        arms, dict.fromkeys(arms, detector), device=device, batch=checked.compute.batch
    )
    with checked.source.module.build(checked.source.config, detector.names) as source:
        decode, pairs = timed(lambda: list(source))
        with Ledger(folder / LEDGER) as ledger:
            admission = Admission(checked, source, arms, ledger, fail=True, register=None)
            preparation = Preparation(checked.perturb, None)

            def prepare() -> list[tuple[list[Item], PairBatch]]:
                admitted = map(preparation, admission.admit(pairs))
                items = batches(admitted, checked.compute.batch)
                return [(batch, compute.upload(batch)) for batch in items]

            prepared_s, prepared = timed(prepare)
        context = RunContext(
            folder=folder,
            arms=tuple(arms),
            image_arms=tuple(arms),
            detector=detector,
            frame_rate=source.frame_rate,
            labelled=True,
            protocol={},
            classes=checked.classes,
            done=0,
            baselines=baselines(checked),
        )
    compute.run(*prepared[0], 0)  # compiles
    computed_s, results = timed(
        lambda: [r for items, batch in prepared for r in compute.run(items, batch, 0)]
    )
    sinks = [sink.module.build(sink.config, context, n) for n, sink in checked.sinks.items()]

    def write() -> None:
        for sink in sinks:
            with sink:
                for result in results:
                    sink.write(result)
                sink.flush()

    return {
        "decode": decode, "prepare": prepared_s, "compute": computed_s, "write": timed(write)[0]
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Wall time against the busiest stage.")
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        together(12, folder / "warm")  # compiles the kernels
        wall, busy = together(arguments.frames, folder / "run")
        single = alone(arguments.frames, folder)
    print(f"{'stage':8} {'busy in the run':>16} {'alone':>8}")
    for name, seconds in busy.items():
        print(f"{name:8} {seconds:14.2f} s {single[name]:6.2f} s")
    slowest = max(busy.values())
    print(f"side by side {wall:.2f} s: {wall / slowest:.2f} times the busiest stage")
    print(f"one after the other {sum(single.values()):.2f} s: {sum(single.values()) / wall:.2f}x")
    if arguments.check and wall > WANTED * slowest:
        sys.exit(1)


if __name__ == "__main__":
    main()
