"""The results of a run's pairs, wherever they are computed: what every engine gives the run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from detection.detector import Detector
from pipeline.config.config import Config
from pipeline.engine.compute import Arms, Compute
from pipeline.engine.flow import Done
from pipeline.engine.said import Said
from pipeline.geometry.registration import Register
from pipeline.interfaces import Source, Summary
from pipeline.run_folder.folder import RunFolder
from pipeline.run_folder.state import Crew


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A run, as an engine needs it.

    Attributes:
        config: The run's, for the classes of the detector.
        source: The pairs, not yet iterated.
        arms: Every arm.
        detector: None if the run only fuses.
        compute: Computes batches in this process.
        register: The registration of the pairs; None without a calibration.
        folder: The partial folder.
        said: What the source warned of; an engine adds what it heard elsewhere.
        fail: Whether a bad pair ends the run.
        shard: Stills in a shard, a multiple of the batch.
    """

    config: Config
    source: Source
    arms: Arms
    detector: Detector | None
    compute: Compute
    register: Register | None
    folder: RunFolder
    said: Said
    fail: bool
    shard: int


class Stream:
    """Iterates the results batch by batch, in the order of the source; a context manager."""

    def __iter__(self) -> Iterator[Done]:
        raise NotImplementedError

    def written(self, pairs: int) -> None:
        """All sinks have written so many pairs to disk."""

    def progress(self, pairs: int) -> int:
        """How many pairs are computed, when so many were handed out."""
        return pairs

    @property
    def crew(self) -> Crew | None:
        """The processes that compute; None for this one alone."""
        return None

    @property
    def first_reason(self) -> str:
        """Why the first bad pair was left out; empty if there was none."""
        raise NotImplementedError

    def summary(self) -> Summary:
        """All counts, after the iteration; without warnings."""
        raise NotImplementedError

    @property
    def busy(self) -> Mapping[str, float]:
        """Busy seconds by part."""
        raise NotImplementedError

    def ms_per_pair(self) -> dict[str, dict[str, float]]:
        """Milliseconds per pair of each arm, by stage."""
        raise NotImplementedError

    def times(self, write_s: float) -> dict[str, dict[str, float]]:
        """Busy and waiting seconds of each stage; those of the consumer are ``write_s``."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End what computes."""


class Engine(Protocol):
    """What the ``build(config)`` of a kind of engine gives."""

    def open(self, task: Task) -> Stream:
        """The results of a run; nothing is computed before they are iterated."""
        ...
