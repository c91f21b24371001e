"""`irvis schema`: the JSON schema of all configurations.

Editors complete and check a YAML file by it that has the line
`# yaml-language-server: $schema=PATH`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from common.files import write_text
from pipeline.config.schema import DIALECT, of_runs
from training.schema import of_training
from training.segmenter_schema import of_segmentation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the output."""
    parser.add_argument("-o", "--output", type=Path, help="write it to a file")


def run(parsed: argparse.Namespace) -> None:
    """Print or write the schema."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    if parsed.output:
        write_text(parsed.output, text)
    else:
        print(text, end="")


def schema() -> dict[str, Any]:
    """The schema of all configurations.

    Those of trainings have a section ``data``, and those that train segmenters a ``task`` too.
    """
    runs, definitions = of_runs()
    training = of_training(definitions)
    return {
        "$schema": DIALECT,
        "title": "irvis configuration",
        "if": {"required": ["task"]},
        "then": of_segmentation(definitions),
        "else": {"if": {"required": ["data"]}, "then": training, "else": runs},
        "$defs": definitions,
    }
