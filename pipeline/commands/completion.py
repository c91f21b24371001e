"""`irvis completion`: prints a script that completes commands and options in a shell."""

import argparse
from pathlib import Path

import shtab

SHELLS = ("bash", "zsh", "fish", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    parser.add_argument(
        "shell",
        choices=SHELLS,
        help="e.g. irvis completion bash > ~/.local/share/bash-completion/completions/irvis",
    )


def run(parsed: argparse.Namespace) -> None:
    """Print the script for ``parsed.parser``, which has all commands."""
    _complete_paths(parsed.parser)
    print(shtab.complete(parsed.parser, parsed.shell))


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Let arguments that are paths, also those of commands, complete as files."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_paths(command)
        elif action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
