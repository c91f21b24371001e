"""`irvis download`: fetch known weights, checked by sha256."""

import argparse
import logging

from detection import weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Names of weights."""
    parser.add_argument("name", nargs="+", help="e.g. yolov5s")


def run(parsed: argparse.Namespace) -> None:
    """Fetch each and print its path."""
    logging.getLogger("detection").setLevel(logging.INFO)
    for name in parsed.name:
        print(weights.download(name))
