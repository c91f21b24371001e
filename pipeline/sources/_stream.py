"""The interface of one camera's recording."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from pipeline.frames import Frame

CHECK_EVERY = 50  # frames between checks for colour


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """Properties of a recording that are known before its frames are decoded.

    Attributes:
        start_ns: Origin of the frame times, on the recording's own clock.
        span_ns: Its start and end on that clock; None if unknown.
        notes: Warnings for the user, one line each.
        bits: Of a channel of its images.
    """

    start_ns: int = 0
    span_ns: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    bits: int = 8


@dataclass(frozen=True, slots=True)
class Lost:
    """A damaged frame.

    Attributes:
        index: Position in its own stream, from 0; None where the rest of the stream is lost.
        reason: One line for the user.
    """

    index: int | None
    reason: str


class Stream(Protocol):
    """The frames of one camera, in the order in which they were recorded."""

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        ...

    @property
    def frames(self) -> int:
        """The number of frames, 0 if unknown."""
        ...

    @property
    def info(self) -> RecordingInfo:
        """Its start and end, and warnings."""
        ...

    def key(self, index: int) -> str:
        """The key of a frame."""
        ...

    def __iter__(self) -> Iterator[Frame | Lost]: ...

    def close(self) -> None:
        """Release all resources."""
        ...
