"""`irvis sweep`: runs one configuration at several values of a key.

The folder of a sweep has a complete run folder per value, and `sweep.csv` with one row per value
and arm.
"""

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from common.cells import cell
from common.errors import ConfigError, DataError, IrvisError
from common.files import write_text
from eval.report.tables import MAPS, NONE, number
from pipeline.commands import _terminal
from pipeline.commands._arguments import add_configuration, configuration
from pipeline.commands._terminal import console, print_lines
from pipeline.config.sweep_plan import Point, label, plan
from pipeline.engine import runner
from pipeline.run_folder.folder import check_same, partial_of
from pipeline.run_folder.group import find, reserve
from pipeline.run_folder.names import CONFIG, PARTIAL_SUFFIX, RESULTS, SWEEP
from pipeline.run_folder.results_file import legible, read_results

SCORES = ("precision", "recall")

Progress = Callable[[str], AbstractContextManager[Callable[[int, int | None], None]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The configuration and its overrides."""
    add_configuration(parser, "perturb.ir_noise=0,10,20")


def run(parsed: argparse.Namespace) -> None:
    """Run the sweep and print its tables."""
    print_report(sweep(*configuration(parsed), _terminal.progress))


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of a sweep.

    Attributes:
        folder: Folder with a run folder per point, and `sweep.csv`.
        keys: The swept keys.
        rows: The rows of `sweep.csv`, by column; in the order of the values, then of the arms.
    """

    folder: Path
    keys: tuple[str, ...]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def write(self) -> None:
        """Write `sweep.csv`."""
        intervals = [[name, f"{name}_low", f"{name}_high"] for name in MAPS]
        columns = [*self.keys, "arm", *SCORES, *itertools.chain(*intervals), "objects", "pairs"]
        columns.append("fingerprint")
        rows = [{name: cell(value) for name, value in row.items()} for row in self.rows]
        text = pd.DataFrame(rows, columns=columns).to_csv(index=False)
        write_text(self.folder / SWEEP, text)


def sweep(path: Path, overrides: Sequence[str], progress: Progress) -> Sweep:
    """Run a configuration once per value, or per combination if several keys are swept.

    Args:
        path: The configuration file.
        overrides: `dotted.key=value` as for one run, and at least one `dotted.key=v1,v2,...`.
            `run.resume=true` continues an interrupted sweep and keeps complete runs. `run.dir` is
            the sweep's folder.
        progress: Returns, for the title of a run, the context of its progress function.

    Raises:
        errors.IrvisError: The user's input is wrong. All values are checked before the first run;
            finished runs and their rows in `sweep.csv` are kept.
    """
    points = plan(path, overrides)
    run = points[0].config.run
    name = f"{run.name}-sweep"
    if run.resume:
        folder = find(run, name, "sweep", configured=False)
    else:
        folder = reserve(run, name, "sweep")
    done = Sweep(folder, tuple(points[0].values))
    try:
        _check_planned(points, folder)
        for point in points:
            _check_same(point, folder / point.name)
        for number, point in enumerate(points, 1):
            title = f"{number}/{len(points)} {point.name}"
            results = _results(point, folder / point.name, title, progress)
            with legible(folder / point.name / RESULTS):  # of an earlier sweep, perhaps edited
                done.rows.extend(_rows(point, results, folder / point.name))
            done.write()
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()  # the first run failed before it made anything
    return done


def print_report(outcome: Sweep) -> None:
    """Print a table of each mAP, one row per value and one column per arm, and the folder."""
    out = console()
    for name, title in reversed(MAPS.items()):
        out.print(_table(outcome, name, title))
    print_lines(f"Sweep folder: {outcome.folder} (all numbers are in its sweep.csv)")


def _check_planned(points: Sequence[Point], folder: Path) -> None:
    """Check that a resumed sweep has all values of the earlier one; it may have more."""
    planned = {point.name for point in points}
    made = {path.name.removesuffix(PARTIAL_SUFFIX) for path in folder.iterdir() if path.is_dir()}
    if others := sorted(made - planned):
        raise ConfigError(
            f"run.resume: {folder} has {others[0]} too; repeat all its values or start a new sweep"
        )


def _check_same(point: Point, final: Path) -> None:
    """Check that an earlier run in the folder had this configuration, except for its sinks."""
    for folder in (final, partial_of(final)):
        if (folder / CONFIG).is_file():
            check_same(folder, point.config)


def _results(point: Point, final: Path, title: str, progress: Progress) -> Mapping[str, Any]:
    """Content of the point's `results.json`, of its complete run folder or of a new run."""
    if (final / RESULTS).is_file():
        return read_results(final)
    settings = {"dir": final, "resume": partial_of(final).is_dir()}
    own = replace(point.config, run=point.config.run.model_copy(update=settings))
    try:
        with progress(title) as show:
            results = runner.run(own, show).results
    except IrvisError as error:
        raise type(error)(f"with {label(point.values)}: {error}") from error
    assert results is not None, "plan() refuses configurations without the results sink"
    return results


def _rows(point: Point, results: Mapping[str, Any], final: Path) -> Iterator[dict[str, Any]]:
    """The rows of `sweep.csv` of one point."""
    for arm, part in results["arms"].items():
        detection = part["detection"]
        if detection is None:
            raise DataError(
                "the source has no labels, so there are no scores to compare; give it labels, or "
                f"use `irvis run` (the first run is in {final})"
            )
        row = {**point.values, "arm": arm, **{name: detection["yolo"][name] for name in SCORES}}
        for name in MAPS:
            low, high = detection["ci95"][name] or (None, None)
            row |= {name: detection["yolo"][name], f"{name}_low": low, f"{name}_high": high}
        counts = {"objects": results["objects"]["scored"], "pairs": results["frames"]["paired"]}
        yield row | counts | {"fingerprint": results["protocol"]["fingerprint"]}


def _table(outcome: Sweep, name: str, title: str) -> Table:
    """The table of one score: a row per value, a column per arm, the interval below the score."""
    intervals = any(row[f"{name}_low"] is not None for row in outcome.rows)
    title = f"{title}, below it the 95% interval" if intervals else title
    table = Table(title=title, title_justify="left")
    for key in outcome.keys:
        table.add_column(key, overflow="fold")
    cells: dict[tuple[str, ...], dict[str, Text]] = {}
    for row in outcome.rows:
        values = tuple(row[key] for key in outcome.keys)
        cells.setdefault(values, {})[row["arm"]] = _cell(row, name)
    arms = list(dict.fromkeys(row["arm"] for row in outcome.rows))
    for arm in arms:
        table.add_column(arm, justify="right", no_wrap=True)
    for values, scores in cells.items():
        # Text, because rich would take [ir,vis] for a style
        table.add_row(*map(Text, values), *(scores.get(arm, Text(NONE)) for arm in arms))
    return table


def _cell(row: Mapping[str, Any], name: str) -> Text:
    score, low, high = (row[column] for column in (name, f"{name}_low", f"{name}_high"))
    cell = Text(number(score))
    if low is not None:
        cell.append("\n" + "–".join(f"{end:.3f}".removeprefix("0") for end in (low, high)), "dim")
    return cell
