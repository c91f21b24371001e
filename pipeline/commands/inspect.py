"""`irvis inspect`: what is in images, recordings or a data set, before anything is run."""

import argparse
from pathlib import Path

from common.errors import ConfigError
from pipeline.commands._inspection import Inspection, sample_stills, watch_recordings
from pipeline.commands._inspection_text import lines
from pipeline.commands._opened import add_inputs, open_paths
from pipeline.commands._terminal import print_lines, progress
from pipeline.sources._image_pairs import ImagePairs
from pipeline.sources._recordings import RecordedPairs

PAIRS = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs and how much of them is read."""
    add_inputs(parser, "DATA")
    parser.add_argument(
        "--pairs",
        type=int,
        default=PAIRS,
        metavar="N",
        help=f"pairs whose pixels are looked at, evenly spaced; default {PAIRS}",
    )


def run(parsed: argparse.Namespace) -> None:
    """Look, and print what is there."""
    if parsed.pairs < 1:
        raise ConfigError("--pairs must be at least 1")
    for line in lines(inspect(parsed.inputs, parsed.labels, parsed.pairs)):
        print_lines(line)


def inspect(paths: list[Path], labels: Path | None, pairs: int) -> Inspection:
    """What is in inputs as ``irvis init`` takes them.

    Args:
        paths: One or two.
        labels: Labels that are given; None to look for them.
        pairs: How many pairs are looked at in full, evenly spaced.

    Raises:
        errors.IrvisError: They can't be read.
    """
    opened = open_paths(paths, labels)
    with opened.source as source, progress() as show:
        if isinstance(source, ImagePairs):
            return sample_stills(source, opened.title, pairs, show)
        assert isinstance(source, RecordedPairs)
        return watch_recordings(source, pairs, show)
