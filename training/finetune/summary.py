"""What a fine-tuning says: each arm before and after training, and trained arms against each other.

A value after training is the mean over the seeds. Its interval is of new images and new seeds: a
draw of the paired bootstrap takes images, and seeds too, with replacement; the same ones for all
arms, since the same seed gives all arms the same augmentation. Of few seeds the drawn means vary
too little, so their distances from the mean of all are widened (``over_seeds``).
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from common.cells import cell
from eval.average_precision import STATISTICS
from eval.average_precision import summarize as scores_of
from eval.bootstrap import Bootstrap, bootstrap, interval95, verdict_of
from eval.coco import detections_of, labels_of
from eval.coco_files import read_ground_truth
from eval.matches import Matches, match_images
from eval.predictions import read_columns
from eval.report.tables import ms_per_pair, truth_of
from pipeline.run_folder.names import ground_truth_file, predictions_file
from pipeline.run_folder.results_file import read_results, read_timing
from training.finetune.config import of_seed

Json = dict[str, Any]


def summarize(run: Path, arms: Sequence[str], seeds: int) -> Json:
    """The contents of ``finetune.json``.

    Args:
        run: Folder of the run in which ``ir`` is an arm before training and ``ir-1`` the one whose
            detector was trained with seed 1.
        arms: Names of the arms that were trained.
        seeds: How many trainings each has.

    Returns:
        ``seeds``; ``pairs``; by arm ``frozen`` (None where the common detector can't take its
        image) and ``trained``, each with a value and ``ci95`` by statistic, ``trained`` also with
        that of each seed, and ``ms`` a pair; ``differences``: by arm and other arm of the trained
        ones, and by arm of ``trained`` less ``frozen``.
    """
    results = read_results(run)
    matches = {arm: _matches(run, results, arm) for arm in results["arms"]}
    draws = bootstrap(matches)
    values = {arm: _statistics(mine) for arm, mine in matches.items()}  # [4] each
    picked = np.random.default_rng(0).integers(seeds, size=(_count(draws), seeds))
    names = {arm: [of_seed(arm, seed) for seed in range(1, seeds + 1)] for arm in arms}
    after = {
        arm: over_seeds(np.stack([draws.arms[name] for name in mine], axis=1), picked)
        for arm, mine in names.items()
    }
    means = {arm: np.mean([values[name] for name in mine], axis=0) for arm, mine in names.items()}
    times, settings = read_timing(run)["arms_ms_per_pair"], results["protocol"]["arms"]
    parts: Json = {}
    for arm, mine in names.items():
        frozen = None
        if arm in matches:
            frozen = _part(values[arm], draws.arms[arm], draws.images)
        trained = _part(means[arm], after[arm], draws.images)
        for number, statistic in enumerate(STATISTICS):
            trained[statistic]["seeds"] = [float(values[name][number]) for name in mine]
        parts[arm] = {
            "frozen": frozen,
            "trained": trained,
            "ms": ms_per_pair(times, settings, mine[0]),
        }
    return {
        "seeds": seeds,
        "pairs": draws.images,
        "arms": parts,
        "differences": {
            arm: {
                other: _differences(means[arm] - means[other], after[arm] - after[other], draws)
                for other in arms
                if other != arm
            }
            for arm in arms
        },
        "gains": {
            arm: _differences(means[arm] - values[arm], after[arm] - draws.arms[arm], draws)
            for arm in arms
            if arm in matches
        },
    }


def csv_text(summary: Mapping[str, Any]) -> str:
    """The table of ``finetune.csv``: two rows an arm, before and after training."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    ends = [f"{name}{end}" for name in STATISTICS for end in ("", "_low", "_high")]
    table.writerow(["arm", "detector", *ends, "ms"])
    for arm, part in summary["arms"].items():
        for detector in ("frozen", "trained"):
            if part[detector] is None:
                continue
            row = [arm, detector]
            for name in STATISTICS:
                low, high = part[detector][name]["ci95"] or (None, None)
                row += [cell(value) for value in (part[detector][name]["value"], low, high)]
            table.writerow([*row, cell(part["ms"])])
    return out.getvalue()


def _matches(run: Path, results: Json, arm: str) -> Matches:
    truth = read_ground_truth(run / ground_truth_file(truth_of(results, arm)))
    predictions = read_columns(run / predictions_file(arm), truth)
    return match_images(detections_of(truth, predictions), labels_of(truth))


def _statistics(matches: Matches) -> NDArray[np.float64]:
    """The statistics of all images, float64 [4]."""
    scores = scores_of(matches)
    return np.array([getattr(scores, name) for name in STATISTICS], np.float64)


def _count(draws: Bootstrap) -> int:
    return len(next(iter(draws.arms.values())))


def over_seeds(values: NDArray[np.float64], picked: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over the picked seeds, its distance from that over all seeds widened for few seeds.

    Of n seeds the mean of n picked ones varies by (n - 1) / n of the variance that the mean of n
    new ones has, and its ends are those of a normal distribution. The factor sqrt(n / (n - 1))
    t / z, with the 97.5% quantiles of Student's distribution with n - 1 degrees of freedom and of
    the normal one, makes up for both: 2.7 for three seeds (benchmarks/seed_coverage.py).

    Args:
        values: float64 (draws, seeds, 4), of each draw of the images.
        picked: int64 (draws, seeds), which seeds each draw takes.

    Returns:
        float64 (draws, 4); of one seed its values.
    """
    seeds, every = values.shape[1], values.mean(1)
    if seeds == 1:
        return np.asarray(every)
    chosen = np.take_along_axis(values, picked[:, :, None], axis=1).mean(1)
    widened = np.sqrt(seeds / (seeds - 1)) * stdtrit(seeds - 1, 0.975) / ndtri(0.975)
    return np.asarray(every + widened * (chosen - every))


def _part(values: NDArray[np.float64], draws: NDArray[np.float64], images: int) -> Json:
    """By statistic its value and interval."""
    intervals = [interval95(column, images) for column in draws.T]
    return {
        name: {"value": float(value), "ci95": ci95 and list(ci95)}
        for name, value, ci95 in zip(STATISTICS, values, intervals, strict=True)
    }


def _differences(values: NDArray[np.float64], draws: NDArray[np.float64], all_: Bootstrap) -> Json:
    """By statistic the difference, its interval and what that says."""
    part = _part(values, draws, all_.images)
    return {
        name: {"difference": mine["value"], "ci95": mine["ci95"],
               "verdict": verdict_of(mine["ci95"] and tuple(mine["ci95"]))}
        for name, mine in part.items()
    }  # fmt: skip
