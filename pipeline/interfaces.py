"""The protocols between the pipeline's parts: source, arm and sink."""

from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self

from torch import Tensor

from eval.labels import Labels
from pipeline.frames import BadPair, FramePair, PairBatch


class Source(Protocol):
    """Where pairs come from: a context manager that is iterated once.

    The order, the keys and the frames are the same on every pass over the same input.
    """

    @property
    def count(self) -> int | None:
        """How many items the iteration gives, None where that isn't known before the end."""
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

    def __iter__(self) -> Iterator[FramePair | BadPair]: ...

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
