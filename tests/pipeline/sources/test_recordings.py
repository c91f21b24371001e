"""Recordings as a source: what their kinds have in common; see also the tests of the kinds."""

import itertools
import threading
from fractions import Fraction

import numpy as np

from pipeline.frames import Frame
from pipeline.sources._prefetch import Prefetch
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._stream import RecordingInfo
from tests.helpers.threads import prompt, wait_until


class Endless:
    """A recording that nobody reads to its end."""

    rate, frames, info = Fraction(10), 0, RecordingInfo()

    def __init__(self):
        self.read, self.closed = 0, False

    def key(self, index):
        return f"{index:06d}"

    def close(self):
        self.closed = True

    def __iter__(self):
        for index in itertools.count():
            self.read = index
            yield Frame(np.full((4, 6), index % 250, np.uint8), index * 10**8, index)


def test_stop_ends_the_search_for_the_offset():
    """Ctrl-C in the middle of it: closing the stage does not wait for the recordings' end."""
    opened = []

    def streams():
        opened.append((Endless(), Endless()))
        return opened[-1]

    with prompt(), RecordedPairs(streams, Timing(offset_ms="auto")) as source:
        with Prefetch(source, length=8, name="decode", stop=source.stop) as stage:
            reader = threading.Thread(target=list, args=(stage,))
            reader.start()  # waits for the first pair
            wait_until(lambda: len(opened) == 2 and opened[1][0].read > 50)
        reader.join()
        assert all(stream.closed for stream in opened[1])
    assert all(stream.closed for pair in opened for stream in pair)
