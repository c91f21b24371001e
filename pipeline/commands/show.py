"""`irvis show`: what a run's results say beyond the two tables that it printed when it ended."""

import argparse
import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from eval.fingerprint import fingerprint
from eval.report.tables import Section, scored_arms, sections
from pipeline.commands._terminal import console, say, score_tables, time_table
from pipeline.run_folder.results_file import NAME, legible, read_results, read_timing

Json = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")


def run(parsed: argparse.Namespace) -> None:
    """Print the tables."""
    report(parsed.run)


def report(folder: Path) -> None:
    """Print all tables of a run.

    Raises:
        errors.DataError: What ``read_results`` raises, or a table lacks numbers in its file.
    """
    results = read_results(folder)
    with legible(folder / NAME):
        lines, parts = list(introduction(results)), list(_printed(results))
    timing = read_timing(folder)
    if not scored_arms(results) and timing is not None:
        parts.insert(0, time_table(timing["arms_ms_per_pair"]))
    say(*lines)
    for part in parts:
        console().print(part)


def _printed(results: Json) -> Iterator[RenderableType]:
    """What stands below the introduction."""
    if scored_arms(results):
        yield from score_tables(results, {})
    for section in sections(results):
        yield from ("", Text(section.title, "bold"), _table(section))
        if section.note:
            yield Text(section.note, "dim")


def introduction(results: Json) -> Iterator[str]:
    """Warnings, and what the tables speak of."""
    for warning in results["warnings"]:
        yield f"Warning: {warning}"
    protocol, frames, objects = results["protocol"], results["frames"], results["objects"]
    text = f"{frames['paired']} of {frames['paired'] + frames['failed']} pairs"
    if objects["labelled"]:
        text += f", {objects['scored']} of {objects['labelled']} objects"
    yield f"{text}; fingerprint {fingerprint(protocol)}"
    if protocol["perturb"]:
        yield f"Perturbed: {json.dumps(protocol['perturb'])}"
    if protocol["detector"] is None:
        yield "The run had no detector: no scores."
        return
    yield f"Detector: {detector_text(protocol['detector'])}"
    if not scored_arms(results):
        yield "The source has no labels: no scores."


def detector_text(detector: Json) -> str:
    """A detector and its thresholds in a line, by a protocol's entry."""
    return (
        f"{detector['network']} ({detector['head']}, weights {detector['weights_sha256'][:12]}), "
        f"conf {detector['conf']}, NMS IoU {detector['iou']}"
    )


def _table(section: Section) -> Table:
    """A section as it is printed; what rows have in common stands in the first of them."""
    words = 2 if section.grouped else 1
    table = Table()
    for place, name in enumerate(section.columns):
        table.add_column(Text(name), justify="left" if place < words else "right")
    for _, rows in groupby(section.rows, itemgetter(0)):
        for place, (first, *rest) in enumerate(rows):
            # as plain text: rich would take [ir,vis] for a style
            table.add_row(*map(Text, ["" if place else first, *rest]))
        if section.grouped:
            table.add_section()
    return table
