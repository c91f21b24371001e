"""The command line `irvis`.

Exit codes: 0 success; 1 a bug, with its traceback; 2 an error in the user's input, in one line;
130 Ctrl-C; 143 SIGTERM.
"""

import argparse
import gc
import importlib
import io
import logging
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Never

from rich.console import Console
from rich.logging import RichHandler

from common.errors import DeviceError, IrvisError, mask, one_line
from common.stop_signals import STOPPED, Terminated, raised_once

COMMANDS = {  # each is a module of pipeline.commands
    "run": "run a configuration: fuse, detect, evaluate",
    "demo": "generate a drive, fuse, detect, evaluate",
    "fuse": "only fuse: two folders, two videos or two images",
    "sweep": "run a configuration at several values of a key",
    "show": "all tables of a finished run",
    "report": "a page of a run, of several, or of a sweep",
    "compare": "compare runs on the same images",
    "evaluate": "score COCO predictions made by any program",
    "masks": "score segmentation masks made by any program",
    "train": "train the fuser on pairs of images and recordings",
    "finetune": "train a detector on each arm's images, and score them all",
    "ablate": "train variants of a network or a loss, and compare them",
    "quality": "measure fused images made by any program",
    "calibrate": "estimate the registration of two cameras",
    "download": "download known weights, checked by sha256",
    "bench": "measure the speed of the fusers on this machine",
    "kinds": "list the kinds of sources, arms, detectors, sinks, and all settings",
    "schema": "the JSON schema of configurations, for editors",
    "init": "write a configuration for images, recordings or a data set, after a look",
    "inspect": "say what is in images, recordings or a data set, before anything is run",
    "completion": "print a script that completes commands in a shell",
    "doctor": "list what is installed and what is missing",
}


# Libraries' messages for a lack of memory, in various types of errors.
_NO_MEMORY = re.compile(
    r"failed to map segment|not enough memory|can.?t allocate memory|cannot allocate memory"
    r"|out of memory|bad_alloc|insufficient memory|unable to allocate",
    re.IGNORECASE,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # its encoding may be ASCII
    with raised_once():  # also while it says that it was stopped
        try:
            code = _run(sys.argv[1:] if arguments is None else arguments)
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # as of `| head -1`; the work is done
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, sys.stdout.fileno())
            return 0
        except (KeyboardInterrupt, Terminated) as stop:
            print(STOPPED, file=sys.stderr)
            return 143 if isinstance(stop, Terminated) else 130


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command and its arguments; wrong ones end the process with code 2."""
    parser = _parser(arguments)
    parsed, rest = parser.parse_known_args(arguments)
    if not hasattr(parsed, "overrides") or any("=" not in r or r.startswith("-") for r in rest):
        parser.parse_args(arguments)  # prints the error and exits
    else:
        parsed.overrides += rest  # argparse wants all positionals together
    return parsed


def _run(arguments: Sequence[str]) -> int:
    try:
        parsed = _parse(arguments)
    except IrvisError as error:
        return _refused(str(error))
    errors = Console(stderr=True)
    handler = RichHandler(console=errors, show_time=False, show_path=False, markup=False)
    handler.addFilter(_masked)
    level = logging.INFO if parsed.verbose else logging.WARNING
    logging.basicConfig(level=level, handlers=[handler], format="%(message)s", force=True)
    try:
        parsed.command(parsed)
    except IrvisError as error:
        return _refused(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:  # no permission or no space, not a bug
        if parsed.verbose:
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _refused(f"{where}{error.strerror or error}")
    except (MemoryError, RuntimeError) as error:  # torch raises RuntimeError
        if parsed.verbose or not _lacks_memory(error):
            raise
        return _refused(str(_too_little_memory(error)))
    return 0


def _refused(message: str) -> int:
    """Print an error that the user can fix; the exit code."""
    print(f"irvis: {one_line(message)}", file=sys.stderr)
    return 2


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))


def _too_little_memory(error: Exception) -> DeviceError:
    reason = str(error).partition("\n")[0] or "no detail"
    return DeviceError(
        f"not enough memory ({reason}); free some, raise the limit (ulimit -v), or use smaller "
        "images or compute.batch=1"
    )


def _masked(record: logging.LogRecord) -> bool:
    """Mask secrets in the addresses of a warning."""
    record.msg, record.args = mask(record.getMessage()), None
    return True


class _Parser(argparse.ArgumentParser):
    """Masks and shortens wrong arguments in its messages."""

    def error(self, message: str) -> Never:
        """Print usage and message, and exit with 2."""
        super().error(one_line(message))


class _Version(argparse.Action):
    """Prints the version and exits."""

    def __call__(self, *_: object) -> None:
        """Look the version up in what is installed."""
        print(f"irvis {version('irvis')}")
        raise SystemExit(0)


def _import(command: str) -> ModuleType:
    """The module of a command.

    Raises:
        DeviceError: There is not enough memory for the libraries.
    """
    gc.disable()  # importing leaves no garbage, and to look for it takes a tenth of the time
    try:
        return importlib.import_module(f"pipeline.commands.{command}")
    except (ImportError, MemoryError, OSError) as error:
        if _lacks_memory(error):
            raise _too_little_memory(error) from error
        raise
    finally:
        gc.enable()


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """All commands; the one that is asked for has its arguments, for `completion` all have."""
    parser = _Parser(prog="irvis", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in arguments[:1] or arguments[:1] == ["completion"]:
            # no other is imported: `irvis --help` shouldn't wait for torch
            module = _import(name)
            module.add_arguments(command)
            command.set_defaults(command=module.run, parser=parser)
        command.add_argument("-v", "--verbose", action="store_true", help="say more")
    return parser


if __name__ == "__main__":
    sys.exit(main())
