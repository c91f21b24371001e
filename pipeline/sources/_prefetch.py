"""Runs an iterable in its own thread, ahead of its consumer, through a bounded queue.

NumPy, OpenCV, PyAV and torch release the GIL while they compute, so threads overlap.
"""

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, Self, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

# Longest wait without a look at signals: one that comes just before the wait begins interrupts
# nothing, and would else be seen with the next item only.
LONGEST_WAIT_S = 0.5


class _End:
    """Comes after the last item."""


class Prefetch(Generic[T]):
    """Iterates ``items`` in a thread and hands them on in order, for one consumer.

    The thread starts with the first ``next`` and ends with the last item, an exception, or
    ``close``; after that there are no more items. An exception of the thread is raised in the
    consumer at the position of the missing item, with the thread's traceback. A generator is closed
    in the thread that ran it.

    Thread-local state, like torch's inference mode, must be set inside ``items``.

    A signal may raise an exception at any point of the consumer; so it takes no lock that the
    thread waits for, and the two share queues that are written in C.

    Attributes:
        busy_s: Seconds that the thread spent producing items. If ``items`` reads from another
            Prefetch, that one's ``consumer_wait_s`` is included.
        wait_s: Seconds that the thread waited for room in the queue.
        consumer_wait_s: Seconds that the consumer waited for items.
    """

    def __init__(
        self,
        items: Iterable[T],
        *,
        length: int,
        name: str,
        stop: Callable[[], object] | None = None,
    ) -> None:
        """Begin; the thread doesn't run yet.

        Args:
            items: Iterated once.
            length: Largest number of items in production or in the queue, at least 1.
            name: The thread's name in debuggers and tracebacks.
            stop: Called by ``close``, from its thread, to interrupt the production of an item, such
                as the wait for a silent live camera.
        """
        if length < 1:
            raise ValueError(f"a queue of length {length} lets nothing through")
        self.busy_s = self.wait_s = self.consumer_wait_s = 0.0
        self._items, self._stop = items, stop
        self._queue: SimpleQueue[T | _End] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()  # an entry for each item that has room
        for _ in range(length):
            self._room.put(None)
        self._error: BaseException | None = None
        self._closed = self._ended = False
        # no daemon: a daemon thread that dies within C code can crash the process
        self._thread = threading.Thread(target=self._work, name=name)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._closed or self._ended:
            raise StopIteration
        if self._thread.ident is None:
            self._thread.start()
        item = self._get()
        if not isinstance(item, _End):
            self._room.put(None)
            return item
        self._ended = True
        error = None if self._closed else self._taken_error()
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """End the thread and drop the items in the queue; may be called again.

        Waits until the thread has ended, including an item in production. May be called from
        another thread than the consumer's, whose wait for an item then ends.
        """
        self._closed = True
        self._room.put(None)  # ends the thread's wait for room
        self._queue.put(_End())  # ends the consumer's wait for an item
        if self._thread.is_alive():  # one that is just being started ends by itself
            if self._stop is not None:
                self._stop()
            self._thread.join()
        self._drop_items()
        error = self._taken_error()
        if error is not None:  # of an item that nobody asked for
            log.info("%s: %r, after its consumer had stopped", self._thread.name, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _get(self) -> T | _End:
        start = time.perf_counter()
        while True:
            with suppress(Empty):
                item = self._queue.get(timeout=LONGEST_WAIT_S)
                self.consumer_wait_s += time.perf_counter() - start
                return item

    def _taken_error(self) -> BaseException | None:
        """The thread's exception; None afterwards, since it is raised once."""
        error, self._error = self._error, None
        return error

    def _drop_items(self) -> None:
        with suppress(Empty):
            while True:
                self._queue.get_nowait()
        self._queue.put(_End())

    def _work(self) -> None:
        """The thread's main function."""
        try:
            self._produce()
        except BaseException as error:  # noqa: BLE001 -- raised in the consumer
            self._error = error
        self._queue.put(_End())

    def _produce(self) -> None:
        iterator = iter(self._items)
        try:
            while self._has_room():
                start = time.perf_counter()
                try:
                    item = next(iterator)
                except StopIteration:
                    return
                finally:
                    self.busy_s += time.perf_counter() - start
                self._queue.put(item)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    def _has_room(self) -> bool:
        """Wait until another item may be produced; False after ``close``."""
        start = time.perf_counter()
        self._room.get()
        self.wait_s += time.perf_counter() - start
        return not self._closed
