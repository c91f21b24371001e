"""`irvis report`: writes the page of a run, of several runs, or of a sweep; or figures."""

import argparse
import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from common.cells import plain
from common.errors import ConfigError, DataError
from common.files import read_text, write_text, writing
from eval.report import charts, latex
from eval.report.page import Chart, Run, Sweep, render
from eval.report.svg import svg
from eval.report.tables import MAPS, number
from pipeline.run_folder.names import PARTIAL_SUFFIX, REPORT, RESULTS, SWEEP
from pipeline.run_folder.results_file import legible, read_results, read_timing
from pipeline.run_folder.summary import coverage
from pipeline.sinks._page import (
    command,
    describe_run,
    draw_charts,
    drawing,
    read_detections,
    save,
)

Json = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the runs and the output."""
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="run or sweep folder")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=f"default RUN/{REPORT}")
    parser.add_argument(
        "--figures", type=Path, metavar="OUT", help="instead of a page: PDF charts, LaTeX tables"
    )


def run(parsed: argparse.Namespace) -> None:
    """Write the page, or the figures, and print their paths."""
    if parsed.figures is None:
        print(report(parsed.runs, parsed.output))
        return
    if len(parsed.runs) > 1 or parsed.output:
        raise ConfigError("irvis report --figures: takes one run, and no -o")
    for path in figures(parsed.runs[0], parsed.figures):
        print(path)


def report(folders: Sequence[Path], output: Path | None) -> Path:
    """Write the page of a run or a sweep, by default into its folder, or one page of several runs.

    Returns:
        Path of the page.

    Raises:
        errors.ConfigError: There are several runs and no ``output``.
        errors.DataError: A folder is not a complete run, a file in it cannot be read, or the page
            cannot be written.
    """
    if output is None and len(folders) > 1:
        raise ConfigError("irvis report: several runs need a file for their page; give -o FILE")
    if output is not None and output.is_dir():
        raise ConfigError(f"{output}: is a folder; name the page, e.g. {output / REPORT}")
    path = output or folders[0] / REPORT
    last = [folder.resolve().name for folder in folders]
    names = [
        name if last.count(name) == 1 else str(folder)
        for name, folder in zip(last, folders, strict=True)
    ]
    with drawing(), legible(folders[0]):
        if len(folders) > 1:
            runs = [_brief(one, name, path) for one, name in zip(folders, names, strict=True)]
            text = render(" · ".join(names), runs, comparison=_compared(folders))
        elif (folders[0] / SWEEP).is_file():
            text = _sweep_page(folders[0], path)
        else:
            text = render(
                names[0], [describe_run(folders[0], folders[0], read_results(folders[0]))]
            )
    save(path, text)
    return path


def figures(folder: Path, output: Path) -> list[Path]:
    """Write a run's charts as PDF and its tables as LaTeX, and return their paths.

    Raises:
        errors.DataError: As for ``report``.
    """
    results = read_results(folder)
    written = []
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    with legible(folder / RESULTS), drawing():
        for name, _, figure in draw_charts(folder, results, read_detections(folder, results)[0]):
            path = output / f"{name}.pdf"
            with writing(path):
                figure.savefig(path, metadata={"CreationDate": None, "Creator": "irvis"})
            written.append(path)
        for name, text in latex.tables(results):
            path = output / f"{name}.tex"
            write_text(path, text)
            written.append(path)
    return written


def _brief(folder: Path, name: str, page: Path) -> Run:
    """The content about one run on a page of several."""
    results = read_results(folder)
    with legible(folder / RESULTS):
        return Run(
            name=name,
            results=results,
            headline=coverage(results["frames"], results["objects"], results.get("labels")),
            command=command(folder),
            timing=read_timing(folder),
            page=_link(folder / REPORT, page),
        )


def _link(target: Path, page: Path) -> str:
    """The relative link from one page to another; empty if it does not exist."""
    if not target.is_file():
        return ""
    return quote(os.path.relpath(target.resolve(), page.resolve().parent))


def _compared(folders: Sequence[Path]) -> Any:  # noqa: ANN401  (JSON, or why there is none)
    # imported now: the bootstrap would delay the page of a single run
    from pipeline.commands.compare import compare

    try:
        return compare(folders)
    except (ConfigError, DataError) as error:
        return str(error)


def _sweep_page(folder: Path, path: Path) -> str:
    """The page of a sweep: curves over its values, and a summary of each run."""
    with legible(folder / SWEEP):
        table = csv.DictReader(io.StringIO(read_text(folder / SWEEP), newline=""))
        columns = list(table.fieldnames or ())
        keys = columns[: columns.index("arm")]
        scores = [f"{name}{end}" for name in MAPS for end in ("", "_low", "_high")]
        rows: list[dict[str, Any]] = [
            # values and names as they are written, scores as numbers
            {name: plain(row[name]) for name in (*keys, "arm")}
            | {name: float(row[name]) if row[name] else None for name in scores}
            for row in table
        ]
        arms = list(dict.fromkeys(row["arm"] for row in rows))
        drawn = list(_sweep_charts(rows, keys, arms))
        cells = [
            [*(row[key] for key in keys), row["arm"], *(number(row[name]) for name in MAPS)]
            for row in rows
        ]
    folders = (file.parent for file in folder.glob(f"*/{RESULTS}"))
    runs = sorted(run for run in folders if not run.name.endswith(PARTIAL_SUFFIX))
    brief = [_brief(run, f"{folder.resolve().name}/{run.name}", path) for run in runs]
    sweep = Sweep(drawn, [*keys, "arm", *MAPS.values()], cells)
    return render(folder.resolve().name, brief, sweep=sweep)


def _sweep_charts(
    rows: Sequence[dict[str, Any]], keys: Sequence[str], arms: Sequence[str]
) -> Iterator[Chart]:
    """The chart over the swept values; several keys are combined to one label."""
    label = ", ".join(keys)
    for row in rows:
        row[label] = ", ".join(row[key] for key in keys)
    text = f"Both mAPs over {label}, one line per arm, with 95% intervals."
    yield Chart("sweep", text, svg(charts.sweep(rows, label, arms), "sweep", text))
