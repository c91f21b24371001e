"""The stages decode, prepare and compute, each on its own thread, in order.

Bounded queues between the stages give backpressure and constant memory. The content of a batch
depends on the pairs alone, never on time.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, Self, TypeVar

from common.errors import DataError
from pipeline.engine.admission import Admission
from pipeline.engine.compute import Compute, batches
from pipeline.engine.preparation import Preparation
from pipeline.frames import BadPair, Dropped, FramePair, Item, PairBatch, Result
from pipeline.interfaces import Source, Thread
from pipeline.sources._prefetch import Prefetch

PAIRS, BATCHES = 8, 2  # lengths of the queues
DECODE = "decode"  # name of the thread that iterates the source
CHECKPOINT = 16  # batches between checkpoints

_T = TypeVar("_T")


class Done(NamedTuple):
    """A finished batch: pairs so far; its results, none if the interrupted run finished it."""

    pairs: int
    results: list[Result]


class _Prepared(NamedTuple):
    first: int
    items: list[Item]
    batch: PairBatch | None  # None if the interrupted run finished these pairs


class Flow:
    """Iterates the results of a source's pairs, batch by batch; a context manager.

    An exception of any stage is raised in the consumer.
    """

    def __init__(
        self,
        source: Source,
        admission: Admission,
        preparation: Preparation,
        compute: Compute,
        *,
        batch: int,
        done: int,
        shard: int | None = None,
    ) -> None:
        """Connect the stages; nothing runs yet.

        Args:
            source: Yields the pairs.
            admission: Selects pairs.
            preparation: Prepares the items that are computed.
            compute: Computes batches.
            batch: Pairs per batch.
            done: Number of first pairs that are not computed again; at the end of a batch.
            shard: Stills in a shard, into whose next one no batch reaches; None for no limit.
        """
        self._admission, self._preparation, self._compute = admission, preparation, compute
        self._batch, self._done, self._shard = batch, done, shard
        self._source = source
        self._stages: dict[str, Prefetch[Any]] = {}
        decoded = self._stage(DECODE, source, PAIRS, stop=source.stop)
        prepared = self._stage("prepare", self._prepared(decoded), BATCHES)
        self._results = self._stage("compute", self._computed(prepared), BATCHES)

    def __iter__(self) -> Iterator[Done]:
        return self._results

    def times(self, write_s: float) -> dict[str, dict[str, float]]:
        """Busy and waiting seconds of each stage, and of the source's decoding threads.

        Args:
            write_s: Seconds that the consumer was busy.
        """
        threads = self._source.threads
        seconds = {f"decode {name}": times(thread) for name, thread in threads.items()}
        waited = sum(thread.consumer_wait_s for thread in threads.values())
        for name, stage in self._stages.items():
            seconds[name] = times(stage, waited)
            waited = stage.consumer_wait_s
        seconds["write"] = {"busy_s": write_s, "wait_s": waited}
        return seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as closing:  # closes all stages even if a second Ctrl-C interrupts it
            for stage in reversed(self._stages.values()):
                closing.callback(stage.close)
            # callbacks run in reverse: each stage is closed before its consumer

    def _stage(
        self, name: str, items: Iterable[_T], length: int, stop: Callable[[], None] | None = None
    ) -> Prefetch[_T]:
        self._stages[name] = stage = Prefetch(items, length=length, name=name, stop=stop)
        return stage

    def _prepared(self, pairs: Iterable[FramePair | BadPair | Dropped]) -> Iterator[_Prepared]:
        number = 0
        for items in batches(self._admission.admit(pairs), self._batch, self._shard):
            end = number + len(items)
            if number < self._done < end:
                raise self._changed()
            batch = None
            if number >= self._done:
                items = [self._preparation(item) for item in items]
                batch = self._compute.upload(items)
            yield _Prepared(number, items, batch)
            number = end
        if number < self._done:
            raise self._changed()

    def _changed(self) -> DataError:
        """The error of a resumed run whose source gives other pairs than before."""
        return DataError(
            f"run.resume: the source has changed, no batch of it ends with pair {self._done} any "
            "more; start a new run"
        )

    def _computed(self, prepared: Iterable[_Prepared]) -> Iterator[Done]:
        for first, items, batch in prepared:
            results = [] if batch is None else self._compute.run(items, batch, first)
            yield Done(first + len(items), results)


def times(stage: Thread, waited_s: float = 0.0) -> dict[str, float]:
    """Busy and waiting seconds of a stage.

    Args:
        stage: Its thread.
        waited_s: Seconds that it waited for the stage before, which ``busy_s`` of it includes.
    """
    return {"busy_s": stage.busy_s - waited_s, "wait_s": stage.wait_s + waited_s}
