"""The protocols between the pipeline's parts (source, arm, sink) and what a sink is told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from detection.detector import Detector
from eval.label_report import Counted, LabelReport
from eval.labels import Labels
from pipeline.frames import BadPair, Dropped, FramePair, PairBatch, Result


class Source(Protocol):
    """Where pairs come from: a context manager that is iterated once.

    Its module's ``build(config, names)`` is given the detector's classes, name by id.

    The order, the keys and the frames are the same on every pass over the same input.

    A source may also have, as recordings and live cameras do: ``threads``, its decoding stages by
    camera (``pipeline.sources._prefetch.Prefetch``); ``skew`` and ``clock``, how its pairs were
    timed (``pipeline.sync``), known once it was iterated; ``stop()``, which ends a wait for frames;
    ``resumable``, False where what was seen can't be seen again; and, where its labels are files,
    ``label_report``, what of them counts, and ``label_protocol``, what of their reading changes the
    numbers.
    """

    @property
    def count(self) -> int | None:
        """How many items the iteration gives, None where that isn't known before the end."""
        ...

    @property
    def keys(self) -> Sequence[str] | None:
        """The keys of all items in order, None where they aren't known before the end."""
        ...

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second of a recording, None for stills."""
        ...

    @property
    def has_labels(self) -> bool:
        """Whether ``labels`` gives ground truth."""
        ...

    def check(self) -> None:
        """Look for mistakes that can be found before the run.

        Raises:
            errors.DataError: A file is missing, unreadable or wrong; the first one found.
        """
        ...

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Ground truth of a pair of this height and width; empty where nothing is labelled.

        Raises:
            errors.DataError: The label file is wrong.
        """
        ...

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,), for counting; needs no image."""
        ...

    def __iter__(self) -> Iterator[FramePair | BadPair | Dropped]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Arm(Protocol):
    """Turns a batch of pairs into what the detector sees."""

    def __call__(self, batch: PairBatch) -> Tensor:
        """Uint8 [B, 3, H, W] RGB on the batch's device: quantized, as a saved PNG would be."""
        ...


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a sink may know when it is built.

    Attributes:
        folder: The run folder, while it is still partial.
        arms: All arms, in the order of the configuration.
        image_arms: Those that have an image.
        detector: None where the run only fuses.
        frame_rate: Pairs per second of a recording, None for stills.
        labelled: Whether the source has ground truth.
        protocol: What the run's numbers depend on besides the detector; see ``results.json``.
        classes: Ids of the classes that are scored, None for all that the detector has.
        done: Pairs that an earlier, broken-off run had finished; 0 for a fresh run.
        baselines: The arm that shows ``ir`` alone and that which shows ``vis`` alone; None where
            there is none.
    """

    folder: Path
    arms: tuple[str, ...]
    image_arms: tuple[str, ...]
    detector: Detector | None
    frame_rate: Fraction | None
    labelled: bool
    protocol: Mapping[str, Any]
    classes: tuple[int, ...] | None
    done: int
    baselines: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Summary:
    """What the runner counted by the end.

    Attributes:
        frames: The counts of ``pipeline.engine.ledger.Ledger``.
        objects: Labelled objects in the pairs that were processed.
        labelled_objects: Labelled objects in all pairs, those left out too.
        leaked: By arm or ``detector``: keys of processed pairs that its weights were trained on.
        timing: How the pairs were timed: ``offset_ms`` and ``drift_ppm`` of the infrared camera's
            clock, and ``skew``, what remains (``pipeline.sync.pairing.Skew.as_dict``). None where
            the source doesn't pair by time.
        classes: The labelled objects of all pairs by class: those that are scored and the others;
            None where the labels are no files.
        labels: What the label files hold; None where the labels are none.
    """

    frames: Mapping[str, int]
    objects: int
    labelled_objects: int
    leaked: Mapping[str, Sequence[str]]
    timing: Mapping[str, Any] | None = None
    classes: Counted | None = None
    labels: LabelReport | None = None


class Sink(Protocol):
    """Where results go: a context manager that is written to in order."""

    def write(self, result: Result) -> None:
        """Take what the arms made of one pair."""
        ...

    def flush(self) -> None:
        """Bring what was written to disk, so that it outlives the process.

        Called at checkpoints: every ``pipeline.engine.flow.CHECKPOINT`` batches from the start of
        the run, and before ``finish``. A resumed run goes on from the last one, and whatever a sink
        has beyond it (``RunContext.done``) must go when it is built.
        """
        ...

    def finish(self, summary: Summary) -> None:
        """Complete the files; called once, after the last pair of a run that ended well."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class Publisher(Protocol):
    """A sink that shows the run to people: it needs what the other sinks write."""

    def publish(self, name: str) -> None:
        """Show the whole run; called once, after ``finish`` of all sinks and ``timing.json``.

        Args:
            name: Of the run's folder, once it is whole.
        """
        ...
