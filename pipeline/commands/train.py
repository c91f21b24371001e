"""`irvis train`: trains a fuser on pairs of images and recordings."""

import argparse
from pathlib import Path

from pipeline.commands import _terminal
from pipeline.commands._arguments import KEYS
from training import config, loop


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the configuration of the training and its overrides."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="YAML file, or its name, e.g. train_irvis"
    )
    parser.add_argument("overrides", nargs="*", metavar=KEYS, help="e.g. network.size=small")


def run(parsed: argparse.Namespace) -> None:
    """Train and print the path of the weights."""
    checked = config.load(parsed.config, parsed.overrides)
    with _terminal.progress("steps") as show:
        outcome = loop.train(checked, show)
    print(f"{outcome.weights}: {outcome.seconds / 60:.1f} minutes, sha256 {outcome.sha256}")
