"""`irvis download`: downloads known weights and checks their sha256."""

import argparse
import logging

from detection import weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the names of weights."""
    parser.add_argument("name", nargs="+", help="e.g. yolov5s")


def run(parsed: argparse.Namespace) -> None:
    """Download each and print its path."""
    logging.getLogger("detection").setLevel(logging.INFO)
    for name in parsed.name:
        print(weights.download(name))
