"""The command line `irvis`.

Exit codes: 0 success; 1 a bug, with its traceback; 2 an error in the user's input, in one line;
130 Ctrl-C; 143 SIGTERM.
"""

import argparse
import importlib
import logging
import signal
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.logging import RichHandler

from common.errors import IrvisError

COMMANDS = {  # each is a module of pipeline.commands
    "run": "run a configuration: fuse, detect, evaluate",
    "demo": "generate a drive, fuse, detect, evaluate",
    "fuse": "only fuse: two folders, two videos or two images",
    "sweep": "run a configuration at several values of a key",
    "show": "all tables of a finished run",
    "report": "a page of a run, of several, or of a sweep",
    "compare": "compare runs on the same images",
    "evaluate": "score COCO predictions made by any program",
    "train": "train the fuser on pairs of images and recordings",
    "quality": "measure fused images made by any program",
    "calibrate": "estimate the registration of two cameras",
    "download": "download known weights, checked by sha256",
    "bench": "measure the speed of the fusers on this machine",
    "doctor": "list what is installed and what is missing",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return _run(_parse(sys.argv[1:] if arguments is None else arguments))
    except (KeyboardInterrupt, _Terminated) as stop:
        print("irvis: stopped; run.resume=true continues an unfinished run", file=sys.stderr)
        return 143 if isinstance(stop, _Terminated) else 130
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    """SIGTERM came; as with Ctrl-C, files are closed on the way out."""


def _terminate(number: int, frame: object) -> None:
    raise _Terminated


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command and its arguments; what is wrong with them ends the process with 2."""
    parser = _parser(arguments)
    parsed, rest = parser.parse_known_args(arguments)
    if not hasattr(parsed, "overrides") or any("=" not in r or r.startswith("-") for r in rest):
        parser.parse_args(arguments)  # says what is wrong
    else:
        parsed.overrides += rest  # argparse wants all positionals together
    return parsed


def _run(parsed: argparse.Namespace) -> int:
    errors = Console(stderr=True)
    handler = RichHandler(console=errors, show_time=False, show_path=False, markup=False)
    level = logging.INFO if parsed.verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler], format="%(message)s", force=True)
    try:
        parsed.command(parsed)
    except IrvisError as error:
        print(f"irvis: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:  # no permission, no space: not ours, and no bug either
        if parsed.verbose:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"irvis: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """All commands; the one that is asked for with its arguments."""
    parser = argparse.ArgumentParser(prog="irvis", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in arguments[:1]:
            # no other is imported: `irvis --help` shouldn't wait for torch
            module = importlib.import_module(f"pipeline.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(command=module.run)
        command.add_argument("-v", "--verbose", action="store_true", help="say more")
    return parser
