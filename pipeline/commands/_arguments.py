"""Arguments shared by several commands."""

import argparse
from pathlib import Path

from pipeline.config.config import DEFAULT

KEYS = "dotted.key=value"


def add_configuration(command: argparse.ArgumentParser, example: str) -> None:
    """Add the arguments that ``configuration`` reads."""
    command.add_argument(
        "config", nargs="?", help=f"YAML file, or its name, default {DEFAULT.stem}"
    )
    command.add_argument("overrides", nargs="*", metavar=KEYS, help=f"e.g. {example}")


def configuration(parsed: argparse.Namespace) -> tuple[Path, list[str]]:
    """The configuration file and the overrides."""
    path, overrides = parsed.config, list(parsed.overrides)
    if path is not None and "=" in path and not Path(path).is_file():
        return DEFAULT, [path, *overrides]  # only overrides
    return Path(path) if path else DEFAULT, overrides
