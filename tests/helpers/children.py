"""Runs in processes of their own, which can be killed.

They are forked from one process that has imported everything and started no thread, so that one
takes no seconds to start.
"""

import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

from pipeline import cli
from pipeline.engine import runner
from tests.helpers import toy_recording
from tests.helpers.runs import execute, few_draws, plugins_once

ROOT = Path(__file__).parent.parent.parent
LIMIT = 60  # seconds after which a child hangs
# what the children need, imported once before they are forked
PRELOAD = [
    "tests.helpers.children", "tests.helpers.toy_sink", "tests.helpers.loaded",
    "pipeline.commands.run",
]  # fmt: skip

few_draws()
plugins_once()


@contextmanager
def child(target, *arguments):
    """A process that runs a function of this module; it is gone after the block."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)  # where the first process finds what it is to import
    try:
        process = context.Process(target=target, args=arguments)
        process.start()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    try:
        yield process
    finally:
        if process.is_alive():
            process.kill()
        process.join()
        process.close()


def end_of(process):
    """The exit code; a child that hangs is an error."""
    process.join(LIMIT)
    assert process.exitcode is not None, f"hangs for {LIMIT} s"
    return process.exitcode


def run(settings, checkpoint, pause_s, begun):
    """A run that says when it begins, with a checkpoint after so many batches."""
    runner.CHECKPOINT, toy_recording.PAUSE_S = checkpoint, pause_s
    begun.set()
    execute(settings)


def irvis(arguments, errors, pairs, begun):
    """The command line; says when so many pairs are done. Standard error goes to a file.

    From the tenth pair to the 60th it takes at least 5 seconds, 0.05 for each camera's frame.
    """
    from pipeline.commands import _terminal

    @contextmanager
    def progress(what="pairs"):
        def show(done, total, note):
            if done >= pairs:
                begun.set()

        yield _terminal.Bar(show)

    _terminal.progress = progress
    runner.CHECKPOINT, toy_recording.PAUSE_S = 1, 0.05
    # a shell ignores Ctrl-C for a job in the background, as the tests may be
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(errors).open("w") as file:
        os.dup2(file.fileno(), 2)
    sys.exit(cli.main(arguments))


def warm():
    """Start the process that the children are forked from, which takes seconds."""
    with child(print) as process:
        end_of(process)


def event():
    """Something that a child can set."""
    return multiprocessing.get_context("forkserver").Event()


def end(settings, checkpoint, number, counted):
    """A run that kills itself at a call of its end, by number from the last pair on; counts them.

    A call is one of Python or C in the main thread: no write to the disk is between two.
    """
    runner.CHECKPOINT = checkpoint
    write = runner._Job._write

    def count(frame, kind, argument):
        if kind in ("call", "c_call"):
            counted.value += 1
            if counted.value == number:
                os.kill(os.getpid(), signal.SIGKILL)

    def written(*arguments):
        pairs = write(*arguments)
        sys.setprofile(count)
        return pairs

    runner._Job._write = written
    execute(settings)


def number():
    """A number that a child can change."""
    return multiprocessing.get_context("forkserver").Value("q", 0)


def send(process, number):
    """Send a signal to a child that still runs."""
    if process.is_alive():
        os.kill(process.pid, number)
