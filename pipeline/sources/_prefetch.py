"""Runs an iterable in its own thread, ahead of its consumer, through a bounded queue.

NumPy, OpenCV, PyAV and torch release the GIL while they compute, so threads overlap.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Prefetch(Generic[T]):
    """Iterates ``items`` in a thread and hands them on in order, for one consumer.

    The thread starts with the first ``next`` and ends with the last item, an exception, or
    ``close``; after that there are no more items. An exception of the thread is raised in the
    consumer at the position of the missing item, with the thread's traceback. A generator is closed
    in the thread that ran it.

    Thread-local state, like torch's inference mode, must be set inside ``items``.

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
        self._items, self._length, self._stop = items, length, stop
        self._queue: deque[T] = deque()
        self._error: BaseException | None = None
        self._closed = self._ended = False
        self._changed = threading.Condition()
        # no daemon: a daemon thread that dies within C code can crash the process
        self._thread = threading.Thread(target=self._work, name=name)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._start()
            start = time.perf_counter()
            while not (self._queue or self._ended or self._closed):
                self._changed.wait()
            self.consumer_wait_s += time.perf_counter() - start
            if self._closed:
                raise StopIteration
            if self._queue:
                item = self._queue.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """End the thread and drop the items in the queue; may be called again.

        Waits until the thread has ended, including an item in production. May be called from
        another thread than the consumer's, whose wait for an item then ends.
        """
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()
            started = self._thread.ident is not None
        if started:
            if self._stop is not None:
                self._stop()
            self._thread.join()
        error, self._error = self._error, None
        if error is not None:  # of an item that nobody asked for
            log.info("%s: %r, after its consumer had stopped", self._thread.name, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> None:
        if self._thread.ident is None and not self._closed:
            self._thread.start()

    def _work(self) -> None:
        """The thread's main function."""
        try:
            self._produce()
        except BaseException as error:  # noqa: BLE001 -- raised in the consumer
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _produce(self) -> None:
        iterator = iter(self._items)
        try:
            while self._room():
                start = time.perf_counter()
                try:
                    item = next(iterator)
                except StopIteration:
                    return
                finally:
                    self.busy_s += time.perf_counter() - start
                with self._changed:
                    if not self._closed:
                        self._queue.append(item)
                    self._changed.notify_all()
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    def _room(self) -> bool:
        """Wait until another item may be produced; False after ``close``."""
        start = time.perf_counter()
        with self._changed:
            while len(self._queue) >= self._length and not self._closed:
                self._changed.wait()
            self.wait_s += time.perf_counter() - start
            return not self._closed
