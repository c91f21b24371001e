"""`irvis finetune` with `task: segmentation`: trains a segmenter on each arm's images."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.commands import _terminal
from pipeline.commands._terminal import print_lines
from training import segmenter_config
from training.segmenter_loop import train_segmenters


def run(path: Path, overrides: Sequence[str]) -> None:
    """Train, and print the weights of each arm."""
    config = segmenter_config.load(path, overrides)
    with _terminal.progress("steps") as show:
        outcome = train_segmenters(config, show)
    print_lines(*(f"arms.{arm}: {weights}" for arm, weights in outcome.weights.items()))
