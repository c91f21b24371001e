"""`irvis show`: prints all tables of a run, how far it has come, or draws single pairs of it."""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from eval.fingerprint import fingerprint
from eval.report.mask_tables import mask_sections, scored_masks
from eval.report.tables import own_labels_notes, scored_arms, sections
from pipeline.commands._sections import section_table
from pipeline.commands._terminal import (
    console,
    detector_text,
    print_lines,
    score_tables,
    time_table,
)
from pipeline.run_folder.names import PAIRS, RESULTS
from pipeline.run_folder.results_file import legible, read_results, read_timing
from pipeline.run_folder.state import state

Json = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run folder and the choice of pairs."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--pair", action="append", metavar="KEY", help="draw this pair: every arm, labels, boxes"
    )
    parser.add_argument(
        "--worst", type=int, metavar="N", help="list and draw the pairs with most errors of fusion"
    )
    parser.add_argument(
        "--rescued", type=int, metavar="N", help="... with most objects that only fusion finds"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="for pictures, default RUN/pairs"
    )


def run(parsed: argparse.Namespace) -> None:
    """Print the tables, or draw pairs."""
    if parsed.pair is None and parsed.worst is None and parsed.rescued is None:
        print_report(parsed.run)
        return
    # imported now: fusing needs torch, tables don't
    from pipeline.commands import _pair_files

    _pair_files.write(
        parsed.run,
        parsed.output or parsed.run / PAIRS,
        keys=parsed.pair or [],
        worst=parsed.worst,
        rescued=parsed.rescued,
    )


def print_report(folder: Path) -> None:
    """Print all tables of a run, or a line about one that isn't finished.

    Raises:
        errors.DataError: As for ``read_results``, or values of a table are missing in its file.
    """
    if (unfinished := state(folder)) is not None:
        print_lines(unfinished)
        return
    results = read_results(folder)
    with legible(folder / RESULTS):
        lines, parts = list(introduction(results)), list(_printed(results))
    timing = read_timing(folder)
    if not scored_arms(results) and timing is not None:
        parts.insert(0, time_table(timing["arms_ms_per_pair"]))
    print_lines(*lines)
    for part in parts:
        console().print(part)


def _printed(results: Json) -> Iterator[RenderableType]:
    """The tables below the introduction."""
    if scored_arms(results):
        yield from score_tables(results, {})
    for section in (*mask_sections(results), *sections(results)):
        yield from ("", Text(section.title, "bold"), section_table(section))
        if section.note:
            yield Text(section.note, "dim")


def introduction(results: Json) -> Iterator[str]:
    """Warnings, notes on the labels, number of pairs and objects, perturbation and detector."""
    for warning in results["warnings"]:
        yield f"Warning: {warning}"
    for note in (results.get("labels") or {}).get("notes", []):
        yield f"Note: {note}"
    for note in own_labels_notes(results):
        yield f"Note: {note}"
    protocol, frames, objects = results["protocol"], results["frames"], results["objects"]
    text = f"{frames['paired']} of {frames['paired'] + frames['failed']} pairs"
    if objects["labelled"]:
        text += f", {objects['scored']} of {objects['labelled']} objects"
    yield f"{text}; fingerprint {fingerprint(protocol)}"
    if protocol["perturb"]:
        yield f"Perturbed: {json.dumps(protocol['perturb'])}"
    if scored_masks(results):
        return
    if protocol["detector"] is None:
        yield "The run had no detector: no scores."
        return
    yield f"Detector: {detector_text(protocol['detector'], digest=True)}"
    if not scored_arms(results):
        yield "The source has no labels: no scores."
