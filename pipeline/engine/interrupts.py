"""Ctrl-C as the regular end of a live run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.interfaces import Source


@contextmanager
def ended_by_interrupt(source: Source) -> Iterator[None]:
    """In this block the first Ctrl-C stops live cameras, and the run completes regularly.

    The second one raises ``KeyboardInterrupt``; so does the first if the source is resumable.
    """
    if source.resumable or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def first(number: int, frame: object) -> None:
        source.stop()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
