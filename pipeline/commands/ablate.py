"""`irvis ablate`: trains variants of one network or loss and compares what they fuse.

The folder of an ablation has a training's folder per variant, the run `scored`, which has all of
them as arms, and `ablation.json` and `ablation.csv` with every number.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from eval.quality.names import METRICS
from eval.report.tables import MAPS, NONE, number
from pipeline.commands import _terminal
from pipeline.commands._arguments import KEYS
from pipeline.commands._terminal import console, print_lines, with_interval
from pipeline.run_folder.names import ABLATION_TABLE
from training import ablation, ablation_config

OF_THE_PAPER = ("vif", "scd", "qabf", "ms_ssim", "fmi")  # metrics of its tables
_NAMES = {metric.key: metric.name for metric in METRICS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the configuration of the ablation and its overrides."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="YAML file, or its name, e.g. ablate"
    )
    parser.add_argument("overrides", nargs="*", metavar=KEYS, help="e.g. train.schedule.steps=1000")


def run(parsed: argparse.Namespace) -> None:
    """Train, score and print the tables."""
    config = ablation_config.load(parsed.config, parsed.overrides)
    print_report(ablation.ablate(config, _terminal.progress))


def print_report(outcome: ablation.Ablation) -> None:
    """Print what was trained, a table of each mAP, one of image quality, and the folder."""
    out, results = console(), outcome.results
    arms = results["arms"]
    out.print(_trainings(arms))
    for key, title in reversed(MAPS.items()):
        if any(key in part["scores"] for part in arms.values()):
            out.print(_detection(results, key, title))
    measured = any("vif" in part["scores"] for part in arms.values())
    for other in results["against"] if measured else ():
        out.print(_quality(arms, other))
    print_lines(
        f"{results['pairs']} pairs, {results['objects']} labelled objects. Intervals are those of "
        "other images, not of another training: compare with variants of another seed alone",
        *(f"Warning: {line}" for line in results["warnings"]),
        f"Ablation folder: {outcome.folder} (all numbers are in its {ABLATION_TABLE})",
    )


def _trainings(arms: Mapping[str, Any]) -> Table:
    """One row per variant: what it changes, its steps and seed."""
    table = Table()
    for column in ("variant", "changes"):
        table.add_column(column, overflow="fold")
    for column in ("steps", "seed"):
        table.add_column(column, justify="right")
    for name, part in arms.items():
        if "changes" in part:
            changes = " ".join(f"{k}={json.dumps(v)}" for k, v in part["changes"].items())
            numbers = (str(part[column]) for column in ("steps", "seed"))
            # Text, because rich would take [100, 10, 0] for a style
            table.add_row(Text(name), Text(changes or NONE), *numbers)
    return table


def _detection(results: Mapping[str, Any], key: str, title: str) -> Table:
    """One row per arm: a score, and its differences from other arms with verdicts."""
    table = Table(title=f"{title} with its 95% interval", title_justify="left")
    table.add_column("arm", overflow="fold")
    table.add_column(title, justify="right", no_wrap=True)
    for other in results["against"]:
        table.add_column(Text(f"− {other}"), justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    for arm, part in results["arms"].items():
        score = part["scores"][key]
        row = [with_interval(number(score["value"]), score["ci95"], ".3f")]
        for other in results["against"]:
            entry = score["less"].get(other)
            row += [Text(NONE), Text("")] if entry is None else _difference(entry)
        table.add_row(Text(arm), *row)
    return table


def _quality(arms: Mapping[str, Any], other: str) -> Table:
    """One row per arm: the paper's metrics, below them the interval of the difference."""
    table = Table(
        title=f"Image quality, below it the 95% interval of the difference from {other}",
        title_justify="left",
    )
    table.add_column("arm", overflow="fold")
    for key in OF_THE_PAPER:
        table.add_column(_NAMES[key], justify="right", no_wrap=True)
    for arm, part in arms.items():
        cells = []
        for key in OF_THE_PAPER:
            score = part["scores"][key]
            cell, entry = Text(number(score["value"])), score["less"].get(other)
            if entry is not None and entry["ci95"] is not None:
                cell.append("\n" + "…".join(f"{end:+.3f}" for end in entry["ci95"]), "dim")
            cells.append(cell)
        table.add_row(Text(arm), *cells)
    return table


def _difference(entry: Mapping[str, Any]) -> list[Text]:
    """A difference with its interval, and the verdict."""
    value = "–" if entry["difference"] is None else f"{entry['difference']:+.3f}"
    return [with_interval(value, entry["ci95"], "+.3f"), Text(entry["verdict"] or NONE)]
