"""`irvis report`: the page of a run, of several runs, or of a sweep; and figures for a paper."""

import csv
import itertools
import os
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import UndefinedError

from errors import ConfigError, DataError
from eval.agreement import CountsOverTime, agreement, counts_over_time
from eval.coco_files import load_json
from eval.operating_points import CONFIDENCE
from eval.report import charts, latex
from eval.report.page import Chart, Run, Sweep, render, within_budget
from eval.report.svg import svg
from eval.report.tables import MAPS, number, scored_arms, sections
from pipeline import run_folder
from pipeline.compare import compare
from pipeline.results_file import NAME, legible, read_results, unlike
from pipeline.sink_files import writing
from pipeline.terminal import bottleneck, coverage

GALLERY, PAGE, SWEEP = "gallery", "report.html", "sweep.csv"
_LEDGER = 200  # rows of the ledger that a page shows

Json = Mapping[str, Any]


def publish(folder: Path, name: str) -> None:
    """Write the page of a run into its folder while that is still partial.

    Args:
        folder: The run folder; all else is in it.
        name: Its name, once it is whole.

    Raises:
        errors.DataError: The page can't be written.
    """
    results = read_results(folder, by_its_run=True)
    with _drawing(), _complete(folder):
        text = render(name, [_run(folder, folder.with_name(name), results)])
    _save(folder / PAGE, text)


def report(folders: Sequence[Path], output: Path | None) -> Path:
    """Write the page of a run or a sweep, by default into its folder, or one page of several runs.

    Returns:
        Where it is.

    Raises:
        errors.ConfigError: There are several runs and no place to write to.
        errors.DataError: A folder holds no whole run, or something in it can't be read; or the page
            can't be written.
    """
    if output is None and len(folders) > 1:
        raise ConfigError("irvis report: several runs need a place for their page; give -o FILE")
    if output is not None and output.is_dir():
        raise ConfigError(f"{output}: is a folder; name the page, e.g. {output / PAGE}")
    path = output or folders[0] / PAGE
    last = [folder.resolve().name for folder in folders]
    names = [
        name if last.count(name) == 1 else str(folder)
        for name, folder in zip(last, folders, strict=True)
    ]
    with _drawing(), _complete(folders[0]):
        if len(folders) > 1:
            runs = [_brief(one, name, path) for one, name in zip(folders, names, strict=True)]
            text = render(" · ".join(names), runs, comparison=_compared(folders))
        elif (folders[0] / SWEEP).is_file():
            text = _sweep_page(folders[0], path)
        else:
            text = render(names[0], [_run(folders[0], folders[0], read_results(folders[0]))])
    _save(path, text)
    return path


def _save(path: Path, text: str) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # a name may hold bytes that are no text
        path.write_text(text, encoding="utf-8", errors="backslashreplace")


def figures(folder: Path, output: Path) -> list[Path]:
    """Write a run's charts as PDF and its tables as LaTeX; their paths.

    Raises:
        errors.DataError: As for ``write``.
    """
    results = read_results(folder)
    made = []
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
    with legible(folder / NAME), _drawing():
        for name, _, figure in _charts(folder, results, _detections(folder, results)[0]):
            path = output / f"{name}.pdf"
            with writing(path):
                figure.savefig(path, metadata={"CreationDate": None, "Creator": "irvis"})
            made.append(path)
        for name, text in latex.tables(results):
            path = output / f"{name}.tex"
            with writing(path):
                path.write_text(text, encoding="utf-8")
            made.append(path)
    return made


@contextmanager
def _drawing() -> Iterator[None]:
    """Charts are drawn in here; a name in a script that the font lacks is the page's to show."""
    with charts.style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


@contextmanager
def _complete(folder: Path) -> Iterator[None]:
    """The template finds everything that it asks for in a run's files, or this says what not."""
    try:
        yield
    except UndefinedError as error:
        raise unlike(folder, f"lacks something that the page shows ({error.message})") from error


def _run(folder: Path, final: Path, results: Json) -> Run:
    """All that a page says of a run.

    Args:
        folder: Where its files are.
        final: Where they will be.
        results: The contents of its ``results.json``.
    """
    pictures = _gallery(folder / GALLERY)
    moments, objects = within_budget(
        [item for item in pictures if "images" in item],
        [item for item in pictures if "strip" in item],
    )
    config = folder / run_folder.CONFIG
    timing = _timing(folder)
    ledger, ledger_rows = _ledger(folder / "ledger.csv")
    counts, agreed = _detections(folder, results)
    with legible(folder / "timing.json"):
        slowest = "" if timing is None else bottleneck(timing)
    with legible(folder / NAME):
        return Run(
            name=final.resolve().name,
            results=results,
            headline=coverage(results["frames"], results["objects"]),
            command=_command(final),
            timing=timing,
            sections=list(sections(results)),
            charts=_drawn(folder, results, counts),
            moments=moments,
            objects=objects,
            bottleneck=slowest,
            ledger=ledger,
            ledger_rows=ledger_rows,
            settings=config.read_text(encoding="utf-8") if config.is_file() else "",
            agreement=agreed,
        )


def _brief(folder: Path, name: str, page: Path) -> Run:
    """What a page of several runs says of one."""
    results = read_results(folder)
    with legible(folder / NAME):
        return Run(
            name=name,
            results=results,
            headline=coverage(results["frames"], results["objects"]),
            command=_command(folder),
            timing=_timing(folder),
            page=_link(folder / PAGE, page),
        )


def _command(folder: Path) -> str:
    return f"irvis run {shlex.quote(str(folder / run_folder.CONFIG))}"


def _drawn(folder: Path, results: Json, counts: CountsOverTime | None) -> list[Chart]:
    return [
        Chart(name, text, svg(figure, name, text))
        for name, text, figure in _charts(folder, results, counts)
    ]


def _charts(
    folder: Path, results: Json, counts: CountsOverTime | None
) -> Iterator[tuple[str, str, Any]]:
    path = folder / "curves.json"
    curves: Any = load_json(path) if path.is_file() else None
    with legible(path):
        yield from charts.charts(results, curves, _timing(folder), counts)


def _timing(folder: Path) -> Any:  # noqa: ANN401  (JSON)
    path = folder / "timing.json"
    return load_json(path) if path.is_file() else None


def _detections(folder: Path, results: Json) -> tuple[CountsOverTime | None, Any]:
    """For a run with a detector but without labels: detections over the run, and agreement."""
    if results["protocol"]["detector"] is None or scored_arms(results):
        return None, None
    path = folder / "ground_truth.json"
    truth: Any = load_json(path)
    with legible(path):
        found = {arm: _sure(folder / "predictions" / f"{arm}.json") for arm in results["arms"]}
        images = truth["images"]
        if not images:
            return None, None
        return (
            counts_over_time(images, found, confidence=CONFIDENCE),
            agreement(images, found, confidence=CONFIDENCE),
        )


def _sure(path: Path) -> list[Any]:
    """What an arm detects at the confidence of the report; the rest would fill the memory."""
    every: Any = load_json(path)
    return [item for item in every if item["score"] >= CONFIDENCE]


def _gallery(folder: Path) -> list[Any]:
    """What the sink of kind report kept, in the order of the run; nothing if there was none."""
    items: list[Any] = [load_json(path) for path in sorted(folder.glob("*.json"))]
    with legible(folder):
        return sorted(items, key=lambda item: item["number"])


def _ledger(path: Path) -> tuple[list[dict[str, str]], int]:
    """The first rows, and how many there are."""
    if not path.is_file():
        return [], 0
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        first = list(itertools.islice(rows, _LEDGER))
        return first, len(first) + sum(1 for _ in rows)


def _link(target: Path, page: Path) -> str:
    """The way from one page to another; empty where that isn't there."""
    if not target.is_file():
        return ""
    return quote(os.path.relpath(target.resolve(), page.resolve().parent))


def _compared(folders: Sequence[Path]) -> Any:  # noqa: ANN401  (JSON, or why there is none)
    try:
        return compare(folders)
    except (ConfigError, DataError) as error:
        return str(error)


def _sweep_page(folder: Path, path: Path) -> str:
    """The page of a sweep: curves over its values, and each run in short."""
    with legible(folder / SWEEP):
        with (folder / SWEEP).open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            columns = list(table.fieldnames or ())
            keys = columns[: columns.index("arm")]
            scores = [f"{name}{end}" for name in MAPS for end in ("", "_low", "_high")]
            rows: list[dict[str, Any]] = [
                # values and names as they are written, scores as numbers
                {**row, **{name: float(row[name]) if row[name] else None for name in scores}}
                for row in table
            ]
        arms = list(dict.fromkeys(row["arm"] for row in rows))
        drawn = list(_sweep_charts(rows, keys, arms))
        cells = [
            [*(row[key] for key in keys), row["arm"], *(number(row[name]) for name in MAPS)]
            for row in rows
        ]
    found = (one.parent for one in folder.glob(f"*/{NAME}"))
    runs = sorted(one for one in found if not one.name.endswith(run_folder.SUFFIX))
    brief = [_brief(one, f"{folder.resolve().name}/{one.name}", path) for one in runs]
    sweep = Sweep(drawn, [*keys, "arm", *MAPS.values()], cells)
    return render(folder.resolve().name, brief, sweep=sweep)


def _sweep_charts(
    rows: Sequence[dict[str, Any]], keys: Sequence[str], arms: Sequence[str]
) -> Iterator[Chart]:
    """One a key, the others at each of their values: the values are told apart by their label."""
    label = ", ".join(keys)
    for row in rows:
        row[label] = ", ".join(row[key] for key in keys)
    text = f"Both mAPs over {label}, one line an arm, with 95% intervals."
    yield Chart("sweep", text, svg(charts.sweep(rows, label, arms), "sweep", text))
