"""`irvis finetune` with `task: segmentation`: trains a segmenter on each arm's images."""

from collections.abc import Mapping
from typing import Any

from pipeline.commands import _terminal
from pipeline.commands._terminal import print_lines
from training import segmenter_config
from training.segmenter_loop import train_segmenters


def run(settings: Mapping[str, Any]) -> None:
    """Train by the plain settings of a configuration, and print the weights of each arm."""
    config = segmenter_config.check(settings)
    with _terminal.progress("steps") as show:
        outcome = train_segmenters(config, show)
    print_lines(*(f"arms.{arm}.segmenter.weights={path}" for arm, path in outcome.weights.items()))
