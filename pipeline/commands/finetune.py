"""`irvis finetune`: trains one detector a time on each arm's images, and scores all of them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from eval.report.tables import MAPS, number
from pipeline.commands import _terminal
from pipeline.commands._arguments import KEYS
from pipeline.commands._terminal import console, print_lines, with_interval
from training.finetune import config, experiment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the configuration and its overrides."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="YAML file, or its name, e.g. finetune"
    )
    parser.add_argument("overrides", nargs="*", metavar=KEYS, help="e.g. seeds=3")


def run(parsed: argparse.Namespace) -> None:
    """Train, score, and print the tables."""
    outcome = experiment.finetune(config.load(parsed.config, parsed.overrides), _terminal.progress)
    print_report(outcome.summary)
    print_lines(
        f"Folder: {outcome.folder} ({experiment.SUMMARY} has all differences, "
        f"{experiment.SCORED}/report.html the pictures)"
    )


def print_report(summary: Mapping[str, Any]) -> None:
    """Print the scores before and after training, and the trained arms against the others."""
    seeds = "1 seed" if summary["seeds"] == 1 else f"the mean of {summary['seeds']} seeds"
    title = f"{summary['pairs']} test pairs; trained: {seeds}, 95% intervals of images and seeds"
    table = Table(title=title, title_justify="left")
    for name in ("arm", "detector", "P", "R", *MAPS.values(), "ms/pair"):
        table.add_column(name, justify="left" if name in ("arm", "detector") else "right")
    for arm, part in summary["arms"].items():
        for detector in ("frozen", "trained"):
            scores = part[detector]
            if scores is not None:
                values = [number(scores[name]["value"]) for name in ("precision", "recall")]
                cells = [*map(Text, values), *(_score(scores[name]) for name in MAPS)]
                table.add_row(Text(arm), detector, *cells, f"{part['ms']:.0f}")
        table.add_section()
    console().print(table)
    best = max(
        summary["arms"], key=lambda arm: summary["arms"][arm]["trained"]["map50_95"]["value"]
    )
    differences = Table(title=f"trained, {best} less the others", title_justify="left")
    for name in ("less", *MAPS.values(), "verdict"):
        differences.add_column(name, justify="left" if name == "less" else "right")
    for other, part in summary["differences"][best].items():
        cells = [_difference(part[name]) for name in MAPS]
        verdict = ", ".join(dict.fromkeys(str(part[name]["verdict"]) for name in MAPS))
        differences.add_row(Text(other), *cells, Text(verdict))
    console().print(differences)


def _score(part: Mapping[str, Any]) -> Text:
    return with_interval(number(part["value"]), part["ci95"], ".3f")


def _difference(part: Mapping[str, Any]) -> Text:
    return with_interval(f"{part['difference']:+.3f}", part["ci95"], "+.3f")
