"""What a recording of one camera is: its frames in order, and what is known before they come."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from pipeline.frames import Frame

LOOK_EVERY = 50  # frames: which of them are looked at for colour


@dataclass(frozen=True, slots=True)
class About:
    """What is known of a recording before its frames are decoded.

    Attributes:
        start_ns: What frame times count from, on the recording's own clock.
        span_ns: Its start and end on that clock; None where they aren't known.
        notes: What the user should know, a line each.
    """

    start_ns: int = 0
    span_ns: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lost:
    """A frame that was recorded and can't be shown.

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
        """How many there are, 0 where that isn't known."""
        ...

    @property
    def about(self) -> About:
        """When it starts and ends."""
        ...

    def key(self, index: int) -> str:
        """Names a frame."""
        ...

    def __iter__(self) -> Iterator[Frame | Lost]: ...

    def close(self) -> None:
        """Give back what is held."""
        ...
