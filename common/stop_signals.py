"""Ctrl-C and SIGTERM end the process in order."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE_S = 2.0
STOPPED = "irvis: stopped; run.resume=true continues an unfinished run"


class Terminated(BaseException):
    """SIGTERM was received; like ``KeyboardInterrupt``, it closes all files on its way."""


@contextmanager
def raised_once() -> Iterator[None]:
    """In this block a first Ctrl-C raises ``KeyboardInterrupt``, a first SIGTERM ``Terminated``.

    After either, both are ignored for ``PATIENCE_S`` seconds: a second exception could interrupt
    the closing of files and threads with a lock taken that others wait for, and `timeout` sends its
    signal twice. A later signal ends the process at once. A signal that the parent process has set
    to be ignored, as a shell does for background jobs, stays ignored.
    """
    first: float | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        if now - first > PATIENCE_S:
            os.write(2, f"{STOPPED}\n".encode())
            os._exit(128 + number)

    before = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if (handler := signal.getsignal(number)) is not signal.SIG_IGN
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
