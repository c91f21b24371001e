"""`irvis compare`: whole runs on the same images against each other, arm by arm.

Numbers of different runs may stand in one table only where they mean the same: the same images and
labels, classes, detector and settings. Then the runs pair image by image, and what an arm gained
from one run to the other has an interval of its own.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from common.errors import ConfigError, DataError
from common.files import write_json
from eval.average_precision import STATISTICS, Matches, match_images, summarize
from eval.bootstrap import bootstrap
from eval.coco import detections_of, labels_of
from eval.coco_files import GroundTruth, read_ground_truth, read_predictions
from eval.comparison import difference
from eval.evaluation import content_hash, key_of
from eval.fingerprint import differences, fingerprint, matters, side_differences
from eval.report.tables import MAPS, number
from pipeline.commands._terminal import console, difference_cells, say, with_interval
from pipeline.commands.show import detector_text
from pipeline.run_folder.results_file import read_results

Json = dict[str, Any]

_LONGEST = 60  # characters of a value in a line that has two of them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The runs."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="later less the first")
    parser.add_argument("-o", "--output", type=Path, help="write the numbers as json")


def run(parsed: argparse.Namespace) -> None:
    """Compare and print the differences."""
    comparison = compare(parsed.runs)
    if parsed.output:
        write_json(parsed.output, comparison, indent=1)
    report(comparison)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A whole run folder.

    Attributes:
        name: What the tables call it.
        folder: Where it is.
        results: The contents of its ``results.json``.
    """

    name: str
    folder: Path
    results: Mapping[str, Any]


def compare(folders: Sequence[Path]) -> Json:
    """Compare two or more runs.

    Args:
        folders: Run folders; the differences are those of the later ones less the first that has
            the arm.

    Returns:
        Plain values: ``fingerprint`` and ``protocol``, what the runs have in common; ``runs``, by
        name, with ``folder`` and each arm's scores and ``ci95``; ``differences``, a list with
        ``arm``, ``run``, ``less`` (the run that is subtracted) and, by statistic, ``difference``,
        ``ci95`` and ``verdict``; ``warnings`` of the runs; ``notes``, what else differs.

    Raises:
        ConfigError: The runs' numbers don't mean the same, or there is only one run.
        DataError: A folder holds no whole run, or one without scores.
    """
    runs = _open(folders)
    for run in runs:
        _check_whole(run)
        _check_same(runs[0], run)
    protocol = runs[0].results["protocol"]
    return {
        "fingerprint": fingerprint(protocol),
        "protocol": matters(protocol),
        "runs": {run.name: {"folder": str(run.folder), "arms": _scores(run)} for run in runs},
        "differences": _differences(runs),
        "warnings": _warnings(runs),
        "notes": _notes(runs),
    }


def report(comparison: Mapping[str, Any]) -> None:
    """Print what the runs have in common, their scores and differences, and what else differs."""
    out, protocol = console(), comparison["protocol"]
    say(
        f"Fingerprint {comparison['fingerprint']}: all runs have the same {protocol['images']} "
        "images and their labels, classes, detector and settings",
        f"Detector: {detector_text(protocol['detector'])}; P, R, mAP: YOLO convention",
    )
    out.print(_score_table(comparison["runs"]))
    if comparison["differences"]:
        out.print(_difference_table(comparison["differences"]))
    else:
        out.print("No two runs have an arm of the same name: there are no differences to show.")
    say(*(f"Warning: {line}" for line in comparison["warnings"]))
    say(*(f"Note: {line}" for line in comparison["notes"]))


def _open(folders: Sequence[Path]) -> list[_Run]:
    """The runs, by names that differ."""
    if len(folders) < 2:
        raise ConfigError("a comparison needs two runs; name two or more run folders")
    places = [folder.resolve() for folder in folders]
    for place, folder in zip(places, folders, strict=True):
        if places.count(place) > 1:
            raise ConfigError(f"{folder}: stands twice; name each run once")
    names = [place.name for place in places]
    return [
        _Run(name if names.count(name) == 1 else str(folder), folder, read_results(folder))
        for name, folder in zip(names, folders, strict=True)
    ]


def _check_whole(run: _Run) -> None:
    """A run that is compared needs scores, and the files that they came from."""
    arms = run.results["arms"]
    if run.results["protocol"]["detector"] is None:
        raise DataError(f"{run.folder}: had no detector: no scores; run it again with one")
    for part in arms.values():
        if part["detection"] is None or part["detection"]["yolo"]["labels"] == 0:
            raise DataError(
                f"{run.folder}: has no labelled objects: no scores; give its source labels"
            )
    for name in ("ground_truth.json", *(f"predictions/{arm}.json" for arm in arms)):
        if not (run.folder / name).is_file():
            raise DataError(
                f"{run.folder}: is no whole run folder: {name} is missing; copy all of it, or run "
                "it again"
            )


def _check_same(first: _Run, run: _Run) -> None:
    """Both runs' scores must mean the same."""
    found = differences(first.results["protocol"], run.results["protocol"])
    if not found:
        return
    key, theirs, mine = found[0]
    more = "".join(f", {other} differs too" for other, _, _ in found[1:])
    raise ConfigError(
        f"{key} is {_short(mine)} in {run.folder}, but {_short(theirs)} in {first.folder}{more}; "
        "scores mean the same only on the same labelled images and with the same detector "
        "settings: run one of them again with the other's"
    )


def _scores(run: _Run) -> Json:
    """Each arm's row."""
    detections = {arm: part["detection"] for arm, part in run.results["arms"].items()}
    return {
        arm: {
            **{name: part["yolo"][name] for name in STATISTICS},
            "coco_map50_95": part["coco"]["map50_95"],
            "ci95": part["ci95"],
        }
        for arm, part in detections.items()
    }


def _differences(runs: Sequence[_Run]) -> list[Json]:
    """Each arm that several runs have: later runs less the first one that has it."""
    truths = {run.name: _ground_truth(run) for run in runs}
    # All predictions are scored on one run's ground truth, so that the images pair exactly.
    truth = truths[runs[0].name]
    labels = labels_of(truth)
    found = []
    for arm in dict.fromkeys(arm for run in runs for arm in run.results["arms"]):
        matches: dict[str, Matches] = {}
        for run in runs:
            if arm in run.results["arms"]:
                path = run.folder / "predictions" / f"{arm}.json"
                ids = _image_ids(truths[run.name], truth)
                predictions = read_predictions(path, truth, image_ids=ids)
                matches[run.name] = match_images(detections_of(truth, predictions), labels)
        if len(matches) > 1:
            found += [{"arm": arm, **entry} for entry in _less_first(matches)]
    return found


def _less_first(matches: Mapping[str, Matches]) -> Iterator[Json]:
    """One arm in several runs, by run: every later run less the first one, by statistic."""
    draws = bootstrap(matches)
    values = {run: summarize(mine) for run, mine in matches.items()}
    less, *later = matches
    for run in later:
        yield {"run": run, "less": less, **difference(values, draws, run, less)}


def _ground_truth(run: _Run) -> GroundTruth:
    """A run's ground truth, which must be the one that its results were computed from."""
    path = run.folder / "ground_truth.json"
    ground_truth = read_ground_truth(path)
    if content_hash(ground_truth) != run.results["protocol"]["ground_truth_sha256"]:
        raise DataError(
            f"{path}: is not what results.json beside it was computed from; run it again"
        )
    return ground_truth


def _image_ids(theirs: GroundTruth, ours: GroundTruth) -> dict[str | int, int]:
    """Our ids of the images by theirs: the images are the same, by key."""
    ids = {key_of(image): image["id"] for image in ours["images"]}
    return {image["id"]: ids[key_of(image)] for image in theirs["images"]}


def _warnings(runs: Sequence[_Run]) -> list[str]:
    """The runs' own warnings; one that not all runs have says whose it is."""
    having: dict[str, list[str]] = {}
    for run in runs:
        for warning in run.results["warnings"]:
            having.setdefault(warning, []).append(run.name)
    return [
        warning if len(names) == len(runs) else f"{', '.join(names)}: {warning}"
        for warning, names in having.items()
    ]


def _notes(runs: Sequence[_Run]) -> list[str]:
    """What else differs: a line a key, with each run's value."""
    values: dict[str, dict[str, str]] = {}
    for one, other in combinations(runs, 2):
        for key, a, b in side_differences(one.results["protocol"], other.results["protocol"]):
            values.setdefault(key, {}).update({one.name: _short(a), other.name: _short(b)})
    lines = []
    for key, by_run in values.items():
        runs_of: dict[str, list[str]] = {}
        for run in runs:
            if run.name in by_run:
                runs_of.setdefault(by_run[run.name], []).append(run.name)
        told = (f"{value} in {' and '.join(names)}" for value, names in runs_of.items())
        lines.append(f"{key} is {', '.join(told)}")
    return lines


def _short(value: object) -> str:
    """A value as text that leaves room for others on its line."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _score_table(runs: Mapping[str, Any]) -> Table:
    """A row a run and arm."""
    table = Table()
    table.add_column("run", overflow="fold")
    table.add_column("arm")
    for name in ("P", "R", *MAPS.values(), "COCO AP"):
        table.add_column(name, justify="right", no_wrap=True)
    for run, part in runs.items():
        for arm, scores in part["arms"].items():
            row = [Text(number(scores[name])) for name in ("precision", "recall")]
            row += [with_interval(number(scores[n]), scores["ci95"][n], ".3f") for n in MAPS]
            # as plain text: rich would take [ir,vis] for a style
            table.add_row(Text(run), Text(arm), *row, Text(number(scores["coco_map50_95"])))
        table.add_section()
    return table


def _difference_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """A row an arm and later run."""
    table = Table()
    table.add_column("arm")
    table.add_column("difference", overflow="fold")
    for title in MAPS.values():
        table.add_column(title, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    for entry in entries:
        runs = Text(f"{entry['run']} − {entry['less']}")
        table.add_row(Text(entry["arm"]), runs, *difference_cells(entry))
    return table
