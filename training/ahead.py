"""Batches made ahead of the step that takes them, in threads."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from training.crops import Batch

# A batch is made faster than a GPU is done with it, by so many together. NumPy and OpenCV let go of
# the interpreter's lock while they copy and scale.
THREADS = 4


class Ahead:
    """Makes the batches of the next steps while one is worked on.

    It gives what ``make`` gives: a batch depends on nothing but its step.
    """

    def __init__(self, make: Callable[[int], Batch]) -> None:
        """Take what makes the batch of a step; the threads end with the process."""
        self._make = make
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="crops")
        self._made: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """The batch of a step; those of the next ones are begun."""
        wanted = range(step, step + THREADS + 1)
        self._made = {
            number: self._made.get(number) or self._pool.submit(self._make, number)
            for number in wanted
        }
        return self._made.pop(step).result()
