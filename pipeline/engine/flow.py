"""The way of the pairs: decode, prepare, compute, each on a thread of its own, in order.

Between the stages are bounded queues, so a slow stage holds back those before it and memory stays
the same however long a recording is. What a batch holds depends on the pairs alone, never on time.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from common.errors import DataError
from pipeline.engine.admission import Admission
from pipeline.engine.compute import Compute, batches
from pipeline.engine.preparation import Preparation
from pipeline.frames import BadPair, Dropped, FramePair, Item, PairBatch, Result
from pipeline.interfaces import Source, Thread
from pipeline.sources._prefetch import Prefetch

PAIRS, BATCHES = 8, 2  # that wait between stages: enough for none to starve, little enough to hold
CHECKPOINT = 16  # batches after which all that was done is brought to disk

_T = TypeVar("_T")


class Done(NamedTuple):
    """A batch that came through: pairs so far; its results, none where they were done before."""

    pairs: int
    results: list[Result]


class _Prepared(NamedTuple):
    first: int
    items: list[Item]
    batch: PairBatch | None  # None where an earlier run did these pairs


class Flow:
    """Iterates the results of a source's pairs, batch by batch; a context manager.

    An exception of any stage is raised in the one who iterates, in its place.
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
    ) -> None:
        """Lay out the stages; nothing runs yet.

        Args:
            source: Gives the pairs.
            admission: Chooses among them.
            preparation: Prepares those that are computed.
            compute: Makes results of batches.
            batch: Pairs a batch.
            done: So many pairs are not computed again; the end of a batch.
        """
        self._admission, self._preparation, self._compute = admission, preparation, compute
        self._batch, self._done = batch, done
        self._source = source
        self._stages: dict[str, Prefetch[Any]] = {}
        decoded = self._stage("decode", source, PAIRS, stop=source.stop)
        prepared = self._stage("prepare", self._prepared(decoded), BATCHES)
        self._results = self._stage("compute", self._computed(prepared), BATCHES)

    def __iter__(self) -> Iterator[Done]:
        return self._results

    def times(self, write_s: float) -> dict[str, dict[str, float]]:
        """Busy and waiting seconds of each stage, the cameras' own threads among them.

        Args:
            write_s: What the one who iterates was busy with; its waiting is known here.
        """
        threads = self._source.threads
        found = {f"decode {name}": times(thread) for name, thread in threads.items()}
        waited = sum(thread.consumer_wait_s for thread in threads.values())
        for name, stage in self._stages.items():
            found[name] = times(stage, waited)
            waited = stage.consumer_wait_s
        found["write"] = {"busy_s": write_s, "wait_s": waited}
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with ExitStack() as closing:  # all of them, even where a second Ctrl-C comes meanwhile
            for stage in reversed(self._stages.values()):
                closing.callback(stage.close)
            # the last is called first: from the source on, nobody waits for what won't come

    def _stage(
        self, name: str, items: Iterable[_T], length: int, stop: Callable[[], None] | None = None
    ) -> Prefetch[_T]:
        self._stages[name] = stage = Prefetch(items, length=length, name=name, stop=stop)
        return stage

    def _prepared(self, pairs: Iterable[FramePair | BadPair | Dropped]) -> Iterator[_Prepared]:
        number = 0
        for items in batches(self._admission.admit(pairs), self._batch):
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
            f"run.resume: the source is not what it was, no batch of it ends with pair {self._done}"
            " any more; start a new run"
        )

    def _computed(self, prepared: Iterable[_Prepared]) -> Iterator[Done]:
        for first, items, batch in prepared:
            results = [] if batch is None else self._compute.run(items, batch, first)
            yield Done(first + len(items), results)


def times(stage: Thread, waited_s: float = 0.0) -> dict[str, float]:
    """Busy and waiting seconds of a stage.

    Args:
        stage: On its own thread.
        waited_s: Seconds that it waited for the stage before, which it took for work.
    """
    return {"busy_s": stage.busy_s - waited_s, "wait_s": stage.wait_s + waited_s}
