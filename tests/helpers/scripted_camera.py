"""Cameras and a clock that do what a test says, without waiting."""

import threading

import numpy as np

IMAGE = np.zeros((4, 6), np.uint8)
MS = 1_000_000  # nanoseconds


class Clock:
    """Stands still but for those who sleep, whose waits it notes."""

    def __init__(self):
        self.time, self.slept, self._lock = 0, [], threading.Lock()

    def now(self):
        return self.time

    def sleep(self, seconds, stop):
        with self._lock:
            self.time += round(seconds * 1e9)
            self.slept.append(seconds)


def camera(*connections):
    """An opener whose calls follow the connections one by one; then the camera is gone.

    A connection is a list of what arrives: a time in milliseconds for a frame, a text for a damaged
    one, an exception, or something to call.
    """
    left = list(connections)

    def opener(address, clock, stop):
        if not left:
            raise ConnectionRefusedError(111, "Connection refused", address)
        for item in left.pop(0):
            if isinstance(item, Exception):
                raise item
            if callable(item):
                item()
            elif isinstance(item, str):
                yield clock.now(), item
            else:
                yield item * MS, IMAGE

    return opener
