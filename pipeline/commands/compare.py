"""`irvis compare`: compares complete runs on the same images, arm by arm.

Runs are comparable if they have the same images and labels, classes, detector and settings. They
are then paired image by image, so that the difference of an arm between runs has an interval.
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
from eval.average_precision import STATISTICS, summarize
from eval.bootstrap import bootstrap
from eval.coco import detections_of, labels_of
from eval.coco_files import GroundTruth, read_ground_truth
from eval.comparison import difference
from eval.evaluation import content_hash, key_of
from eval.fingerprint import differences, fingerprint, matters, side_differences
from eval.matches import Matches, match_images
from eval.predictions import read_columns
from eval.report.tables import MAPS, number, own_labels_notes, truth_of
from pipeline.commands._terminal import (
    console,
    detector_text,
    difference_table,
    print_lines,
    with_interval,
)
from pipeline.run_folder.names import RESULTS, ground_truth_file, predictions_file
from pipeline.run_folder.results_file import read_results

Json = dict[str, Any]
_LONGEST = 60  # longest text of a value in a line with two values


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the runs."""
    which = "run folders; later minus first"
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help=which)
    parser.add_argument("-o", "--output", type=Path, help="write the numbers as json")


def run(parsed: argparse.Namespace) -> None:
    """Compare and print the differences."""
    comparison = compare(parsed.runs)
    if parsed.output:
        write_json(parsed.output, comparison, indent=1)
    print_report(comparison)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """A complete run folder.

    Attributes:
        name: Its name in the tables.
        folder: Its path.
        results: Content of its ``results.json``.
    """

    name: str
    folder: Path
    results: Mapping[str, Any]


def compare(folders: Sequence[Path]) -> Json:
    """Compare two or more runs.

    Args:
        folders: Run folders; differences are of later runs minus the first run that has the arm.

    Returns:
        Plain values: the common ``fingerprint`` and ``protocol``; ``runs``, by name, with
        ``folder`` and each arm's scores and ``ci95``; ``differences``, a list with ``arm``,
        ``run``, ``less`` (the subtracted run) and, by statistic, ``difference``, ``ci95`` and
        ``verdict``; ``warnings`` of the runs; ``notes`` on other differences.

    Raises:
        ConfigError: The runs are not comparable, or there is only one run.
        DataError: A folder is not a complete run with scores.
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


def print_report(comparison: Mapping[str, Any]) -> None:
    """Print the common protocol, scores, differences, warnings and notes."""
    out, protocol = console(), comparison["protocol"]
    print_lines(
        f"Fingerprint {comparison['fingerprint']}: all runs have the same {protocol['images']} "
        "images and their labels, classes, detector and settings",
        f"Detector: {detector_text(protocol['detector'], digest=True)}; P, R, mAP: YOLO convention",
    )
    out.print(_score_table(comparison["runs"]))
    if comparison["differences"]:
        out.print(difference_table(comparison["differences"]))
    else:
        out.print("No two runs have an arm of the same name: there are no differences to show.")
    print_lines(*(f"Warning: {line}" for line in comparison["warnings"]))
    print_lines(*(f"Note: {line}" for line in comparison["notes"]))


def _open(folders: Sequence[Path]) -> list[_Run]:
    """Open the runs, with unique names."""
    if len(folders) < 2:
        raise ConfigError("a comparison needs two runs; name two or more run folders")
    paths = [folder.resolve() for folder in folders]
    for path, folder in zip(paths, folders, strict=True):
        if paths.count(path) > 1:
            raise ConfigError(f"{folder}: given twice; name each run once")
    names = [path.name for path in paths]
    return [
        _Run(name if names.count(name) == 1 else str(folder), folder, read_results(folder))
        for name, folder in zip(names, folders, strict=True)
    ]


def _check_whole(run: _Run) -> None:
    """Check that a run has scores and the files that they were computed from."""
    arms = run.results["arms"]
    if run.results["protocol"]["detector"] is None:
        raise DataError(f"{run.folder}: had no detector: no scores; run it again with one")
    for part in arms.values():
        if part["detection"] is None or part["detection"]["yolo"]["labels"] == 0:
            raise DataError(
                f"{run.folder}: has no labelled objects: no scores; give its source labels"
            )
    truths = map(ground_truth_file, (None, *run.results.get("own_labels", {})))
    for name in (*truths, *(predictions_file(arm) for arm in arms)):
        if not (run.folder / name).is_file():
            raise DataError(
                f"{run.folder}: is no whole run folder: {name} is missing; copy all of it, or run "
                "it again"
            )


def _check_same(first: _Run, run: _Run) -> None:
    """Check that the scores of both runs are comparable."""
    differing = differences(first.results["protocol"], run.results["protocol"])
    if not differing:
        return
    key, first_value, value = differing[0]
    more = "".join(f", {other} differs too" for other, _, _ in differing[1:])
    raise ConfigError(
        f"{key} is {_short(value)} in {run.folder}, but {_short(first_value)} in {first.folder}"
        f"{more}; scores are comparable only on the same labelled images and with the same "
        "detector settings: run one of them again with the settings of the other"
    )


def _scores(run: _Run) -> Json:
    """The scores of each arm."""
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
    """For each arm in several runs: later runs minus the first one that has it."""
    own = runs[0].results["protocol"].get("own_labels", {})
    truths = {
        camera: {run.name: _ground_truth(run, camera) for run in runs} for camera in (None, *own)
    }
    # all predictions are scored on the first run's ground truth, which pairs the images
    first = {camera: of[runs[0].name] for camera, of in truths.items()}
    labels = {camera: labels_of(truth) for camera, truth in first.items()}
    entries = []
    for arm in dict.fromkeys(arm for run in runs for arm in run.results["arms"]):
        matches: dict[str, Matches] = {}
        having = [run for run in runs if arm in run.results["arms"]]
        camera = _camera(having, arm)
        for run in having:
            path = run.folder / predictions_file(arm)
            ids = _image_ids(truths[camera][run.name], first[camera])
            predictions = read_columns(path, first[camera], image_ids=ids)
            found = detections_of(first[camera], predictions)
            matches[run.name] = match_images(found, labels[camera])
        if len(matches) > 1:
            entries += [{"arm": arm, **entry} for entry in _less_first(matches)]
    return entries


def _camera(runs: Sequence[_Run], arm: str) -> str | None:
    """The camera whose own labels an arm is scored on in these runs, None for the pair's.

    Raises:
        ConfigError: They differ in it.
    """
    of = [truth_of(run.results, arm) for run in runs]
    for run, camera in zip(runs, of, strict=True):
        if camera != of[0]:
            whose = ["the pair's labels" if c is None else f"{c}'s own" for c in (camera, of[0])]
            raise ConfigError(
                f"arm {arm} is scored on {whose[0]} in {run.folder}, but on {whose[1]} in "
                f"{runs[0].folder}; give arms that show other cameras other names"
            )
    return of[0]


def _less_first(matches: Mapping[str, Matches]) -> Iterator[Json]:
    """For one arm, matches by run: each later run minus the first one, by statistic."""
    draws = bootstrap(matches)
    values = {run: summarize(of_run) for run, of_run in matches.items()}
    less, *later = matches
    for run in later:
        yield {"run": run, "less": less, **difference(values, draws, run, less)}


def _ground_truth(run: _Run, camera: str | None) -> GroundTruth:
    """Read a run's ground truth, and check that its results were computed from it."""
    path, protocol = run.folder / ground_truth_file(camera), run.results["protocol"]
    ground_truth = read_ground_truth(path)
    hashes = {None: protocol["ground_truth_sha256"], **protocol.get("own_labels", {})}
    if content_hash(ground_truth) != hashes[camera]:
        raise DataError(f"{path}: is not what {RESULTS} beside it was computed from; run it again")
    return ground_truth


def _image_ids(source: GroundTruth, target: GroundTruth) -> dict[str | int, int]:
    """Ids in ``target`` by ids in ``source`` of the images with equal keys."""
    ids = {key_of(image): image["id"] for image in target["images"]}
    return {image["id"]: ids[key_of(image)] for image in source["images"]}


def _warnings(runs: Sequence[_Run]) -> list[str]:
    """The warnings of the runs, with the names of the runs unless all have it."""
    having: dict[str, list[str]] = {}
    for run in runs:
        for warning in run.results["warnings"]:
            having.setdefault(warning, []).append(run.name)
    return [
        warning if len(names) == len(runs) else f"{', '.join(names)}: {warning}"
        for warning, names in having.items()
    ]


def _notes(runs: Sequence[_Run]) -> list[str]:
    """Other differences of the protocols: one line per key, with the value of each run."""
    own = [note for run in runs for note in own_labels_notes(run.results)]
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
        texts = (f"{value} in {' and '.join(names)}" for value, names in runs_of.items())
        lines.append(f"{key} is {', '.join(texts)}")
    return [*dict.fromkeys(own), *lines]


def _short(value: object) -> str:
    """A value as text, shortened if necessary."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _score_table(runs: Mapping[str, Any]) -> Table:
    """One row per run and arm."""
    table = Table()
    table.add_column("run", overflow="fold")
    table.add_column("arm")
    for name in ("P", "R", *MAPS.values(), "COCO AP"):
        table.add_column(name, justify="right", no_wrap=True)
    for run, part in runs.items():
        for arm, scores in part["arms"].items():
            row = [Text(number(scores[name])) for name in ("precision", "recall")]
            row += [with_interval(number(scores[n]), scores["ci95"][n], ".3f") for n in MAPS]
            # Text, because rich would take [ir,vis] for a style
            table.add_row(Text(run), Text(arm), *row, Text(number(scores["coco_map50_95"])))
        table.add_section()
    return table
