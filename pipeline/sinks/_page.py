"""The report page of a run, made from its folder."""

import csv
import itertools
import shlex
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from common.cells import plain
from common.files import load_json, read_text, write_text, writing
from eval.agreement import CountsOverTime, agreement, counts_over_time
from eval.operating_points import CONFIDENCE
from eval.report import charts
from eval.report.mask_tables import mask_sections
from eval.report.page import Chart, Run, render, within_budget
from eval.report.svg import svg
from eval.report.tables import scored_arms, sections
from pipeline.run_folder.names import (
    CONFIG,
    CURVES,
    GALLERY,
    GROUND_TRUTH,
    LEDGER,
    REPORT,
    RESULTS,
    TIMING,
    predictions_file,
)
from pipeline.run_folder.results_file import (
    check_shape,
    legible,
    read_results,
    read_timing,
    unlike,
)
from pipeline.run_folder.summary import bottleneck, coverage

_LEDGER = 200  # rows of the ledger that a page shows
_SHOWN = ("key", "status", "ir_frame", "vis_frame", "reason")  # its columns

Json = Mapping[str, Any]


def publish(folder: Path, name: str) -> None:
    """Write the page of a run into its partial folder.

    Args:
        folder: The partial folder with all other files.
        name: Final name of the run folder.

    Raises:
        errors.DataError: The page can't be written.
    """
    results = read_results(folder, by_its_run=True)
    with drawing(), legible(folder):
        text = render(name, [describe_run(folder, folder.with_name(name), results)])
    save(folder / REPORT, text)


def save(path: Path, text: str) -> None:
    """Write a page, and create its parent folders.

    Raises:
        errors.DataError: It can't be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)


@contextmanager
def drawing() -> Iterator[None]:
    """Style charts drawn in this block; suppress warnings of missing glyphs, which SVG replaces."""
    with charts.style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def describe_run(folder: Path, final: Path, results: Json) -> Run:
    """The content of a page about one run.

    Args:
        folder: The run folder now.
        final: The final run folder.
        results: The contents of its ``results.json``.
    """
    pictures = _gallery(folder / GALLERY)
    moments, objects = within_budget(
        [item for item in pictures if "images" in item],
        [item for item in pictures if "strip" in item],
    )
    config = folder / CONFIG
    timing = read_timing(folder)
    ledger, ledger_rows = _ledger(folder / LEDGER)
    counts, agreed = read_detections(folder, results)
    with legible(folder / TIMING):
        slowest = "" if timing is None else bottleneck(timing)
    with legible(folder / RESULTS):
        return Run(
            name=final.resolve().name,
            results=results,
            headline=coverage(results["frames"], results["objects"], results.get("labels")),
            command=command(final),
            timing=timing,
            sections=[*mask_sections(results), *sections(results)],
            charts=_charts(folder, results, counts),
            moments=moments,
            objects=objects,
            bottleneck=slowest,
            ledger=ledger,
            ledger_rows=ledger_rows,
            settings=read_text(config) if config.is_file() else "",
            agreement=agreed,
        )


def command(folder: Path) -> str:
    """The command that repeats a run."""
    return f"irvis run {shlex.quote(str(folder / CONFIG))}"


def _charts(folder: Path, results: Json, counts: CountsOverTime | None) -> list[Chart]:
    return [
        Chart(name, text, svg(figure, name, text))
        for name, text, figure in draw_charts(folder, results, counts)
    ]


def draw_charts(
    folder: Path, results: Json, counts: CountsOverTime | None
) -> Iterator[tuple[str, str, Any]]:
    """Name, description and figure of each chart of a run."""
    path = folder / CURVES
    curves: Any = load_json(path) if path.is_file() else None
    with legible(path):
        yield from charts.charts(results, curves, read_timing(folder), counts)


def read_detections(folder: Path, results: Json) -> tuple[CountsOverTime | None, Any]:
    """For a run with a detector but without labels: detections over the run, and agreement."""
    if results["protocol"]["detector"] is None or scored_arms(results):
        return None, None
    path = folder / GROUND_TRUTH
    truth: Any = load_json(path)
    with legible(path):
        detections = {arm: _confident(folder / predictions_file(arm)) for arm in results["arms"]}
        images = truth["images"]
        if not images:
            return None, None
        return (
            counts_over_time(images, detections, confidence=CONFIDENCE),
            agreement(images, detections, confidence=CONFIDENCE),
        )


def _confident(path: Path) -> list[Any]:
    """An arm's predictions with at least ``CONFIDENCE``, which saves memory."""
    predictions: Any = load_json(path)
    return [item for item in predictions if item["score"] >= CONFIDENCE]


def _gallery(folder: Path) -> list[Any]:
    """The entries of the gallery in the order of the run; empty without a sink of kind report."""
    items: list[Any] = []
    for path in sorted(folder.glob("*.json")):
        items.append(load_json(path))
        check_shape(_Picture, items[-1], path)
    return sorted(items, key=lambda item: item["number"])


class _Picture(BaseModel):
    """The keys that all files of the gallery have; the template checks the others."""

    key: str
    number: int
    time_ns: int | None
    dead: str | None


def _ledger(path: Path) -> tuple[list[dict[str, str]], int]:
    """The first rows, and the number of all rows."""
    if not path.is_file():
        return [], 0
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames is None or not {*_SHOWN} <= {*rows.fieldnames}:
                raise unlike(path, f"lacks one of the columns {', '.join(_SHOWN)}")
            first = [
                {name: plain(row[name] or "") for name in _SHOWN}
                for row in itertools.islice(rows, _LEDGER)
            ]
            return first, len(first) + sum(1 for _ in rows)
    except (csv.Error, UnicodeDecodeError) as error:
        raise unlike(path, f"is no table ({error})") from error
