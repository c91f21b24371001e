"""Trains until a moment, in as many steps as fit: `tools/gpu.sh` runs it.

    python tools/gpu_train.py CONFIG FOLDER UNTIL [--scan NAME] [key=value ...]

UNTIL is in seconds since 1970. Where schedule.steps is not among the overrides, the pace of a few
steps and of a scoring is measured first, and the schedule is made to end in time. FOLDER gets, each
time that the fuser is scored, the averaged weights and those that scored best so far, the logs and
the sheet: what is there is of use whenever the machine goes.
"""

import argparse
import csv
import math
import shutil
import tempfile
import time
from pathlib import Path

from common.device import choose_device, choose_dtype
from pipeline.run_folder.folder import partial_of
from training import config
from training.loop import MOMENTS, Trainer, train
from training.pairs import open_sources
from training.records import LOG, SCORES
from training.scores import Scores

WARM, TIMED = 10, 20  # steps
SCORED = 6  # times in a planned run
SAVED = 60  # seconds between checkpoints
ENDLESS = 10**9  # steps, before it is known how many fit
START, SLACK = 20, 0.95  # seconds to begin; share of the rest that is planned with


class TooLate(Exception):  # noqa: N818  (nothing is wrong)
    """The moment has come before the last step."""


def plan(checked, until):
    """Overrides for a run that ends in time.

    It spends t = n (pace) + SCORED judged + plain, where plain scores the arms without weights.
    """
    device = choose_device(checked.compute.device)
    trainer = Trainer(checked, open_sources(checked), device)
    seconds(lambda: advance(trainer, WARM))
    pace = seconds(lambda: advance(trainer, TIMED)) / TIMED
    print(f"{pace:.3f} s a step, {checked.compute.batch / pace:.0f} crops/s", flush=True)
    scoring = 0.0
    if checked.scores is not None:
        scores = Scores(checked, device, choose_dtype(checked.compute.dtype, device))
        trainer.judge(scores)  # sizes that are new take longer
        plain, judged = seconds(scores.plain), seconds(lambda: trainer.judge(scores))
        scoring = plain + SCORED * judged
        print(f"{judged:.1f} s a scoring, {plain:.1f} s for the arms without weights", flush=True)
    steps = math.floor(SLACK * (until - time.time() - START - scoring) / pace)
    if steps < 2:
        raise SystemExit(f"{until - time.time():.0f} s are left: too few to train")
    made = {
        "schedule.steps": steps,
        "schedule.warmup": min(checked.schedule.warmup, steps // 10),
        "run.save_every": max(1, round(SAVED / pace)),
    }
    if checked.scores is not None:
        made["scores.every"] = math.ceil(steps / SCORED)
    if checked.sheet is not None:
        made["sheet.every"] = math.ceil(steps / SCORED)
    return [f"{key}={value}" for key, value in made.items()]


def advance(trainer, steps):
    """Take steps, and wait until the device is done with them."""
    for _ in range(steps):
        values = trainer.advance()
    values.tolist()


def seconds(work):
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def collect(run, folder, names):
    """Copy what is worth keeping of a run that goes on."""
    for name in (LOG, SCORES):
        if (run / name).is_file():
            shutil.copyfile(run / name, folder / name)
    for source, name in (("sheets/*.png", "sheet.png"), (f"{MOMENTS}/*", "weights.safetensors")):
        if files := sorted(run.glob(source)):
            shutil.copyfile(files[-1], folder / name)
    if (step := best(run / SCORES, names)) is not None:
        shutil.copyfile(run / MOMENTS / f"{step:06d}.safetensors", folder / "best.safetensors")


def best(path, names):
    """The step whose fused images have the highest mean mAP@.5 and mAP@.5:.95 over the sets."""
    if not path.is_file():
        return None
    sums: dict[int, float] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["set"] in names and row["arm"] == "fused" and row["map50"]:
                value = float(row["map50"]) + float(row["map50_95"])
                sums[int(row["step"])] = sums.get(int(row["step"]), 0) + value
    return max(sums, key=sums.__getitem__, default=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("until", type=float)
    parser.add_argument("--scan", help="backend of networks that have a scan")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    given = parser.parse_args()
    overrides, until = given.overrides, given.until
    if given.scan and config.load(given.config, overrides).kind == "fusionmamba":
        overrides = [*overrides, f"network.scan={given.scan}"]
    if not any(override.startswith("schedule.steps=") for override in overrides):
        endless = config.load(given.config, [*overrides, f"schedule.steps={ENDLESS}"])
        overrides = [*overrides, *plan(endless, until)]
    Path("runs").mkdir(exist_ok=True)
    run = Path(tempfile.mkdtemp(prefix="gpu-", dir="runs")) / "train"
    checked = config.load(given.config, [*overrides, f"run.dir={run}"])
    print(f"{checked.schedule.steps} steps of {checked.compute.batch} crops in {run}", flush=True)
    began, moments = time.time(), set()

    def on_progress(done, total):
        late = time.time() > until
        new = set((partial_of(run) / MOMENTS).glob("*")) - moments
        if new or late or done == total:
            moments.update(new)
            collect(partial_of(run), given.folder, checked.scored)
            print(f"step {done} of {total} after {time.time() - began:.0f} s", flush=True)
        if late and done < total:
            raise TooLate

    try:
        train(checked, on_progress)
    except TooLate:
        print("out of time: the weights are those of the last scoring", flush=True)


if __name__ == "__main__":
    main()
