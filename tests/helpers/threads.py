"""Keeps tests of threads honest: none hangs, none leaves a thread behind."""

import signal
import threading
import time
from contextlib import contextmanager


@contextmanager
def prompt(seconds=10):
    """Raise TimeoutError in a block that hangs; the threads it started must have ended by then."""
    before = set(threading.enumerate())

    def fail(*_):
        raise TimeoutError(f"hangs for {seconds} s")

    old = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert set(threading.enumerate()) <= before


def wait_until(condition):
    """Give other threads time until they have got somewhere."""
    while not condition():
        time.sleep(0.001)
