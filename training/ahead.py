"""Batches prepared ahead of their training step, in threads."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from training.crops import Batch

# Enough to prepare a batch in less time than a GPU needs for a step. NumPy and OpenCV release the
# GIL while they copy and scale.
THREADS = 4


class Ahead:
    """Prepares the batches of the next steps in the background."""

    def __init__(self, make: Callable[[int], Batch]) -> None:
        """Start the threads, which end with the process.

        Args:
            make: Makes the batch of a step, which must depend on nothing else.
        """
        self._make = make
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="crops")
        self._batches: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step, and start preparing the next ones."""
        self._batches = {
            number: self._batches.get(number) or self._pool.submit(self._make, number)
            for number in range(step, step + THREADS + 1)
        }
        return self._batches.pop(step).result()
