"""Ctrl-C on a live run, which has no other end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.interfaces import Source


@contextmanager
def ended_by_interrupt(source: Source) -> Iterator[None]:
    """A block in which the first Ctrl-C stops live cameras, so that the run ends well by itself.

    The second one interrupts as ever; so does the first where the source can be resumed.
    """
    if source.resumable or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        source.stop()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
