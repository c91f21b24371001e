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
from training.schema import of_ablation, of_finetuning, of_training
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
    """The schema of configurations, told apart by sections that only one of them has.

    That of ``irvis finetune`` has a ``task`` with segmenters, ``data`` and ``source`` with
    detectors; that of an ablation ``variants``, of a training ``data``.
    """
    runs, definitions = of_runs()
    training = of_training(definitions)
    finetuning = of_finetuning(definitions, runs)
    ablation = of_ablation(definitions, runs)
    return {
        "$schema": DIALECT,
        "title": "irvis configuration",
        "if": {"required": ["task"]},
        "then": of_segmentation(definitions),
        "else": {
            "if": {"required": ["variants"]},
            "then": ablation,
            "else": {
                "if": {"required": ["data"]},
                "then": {"if": {"required": ["source"]}, "then": finetuning, "else": training},
                "else": runs,
            },
        },
        "$defs": definitions,
    }
