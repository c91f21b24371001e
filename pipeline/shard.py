"""A part of a source that can be processed by itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of a source that can be processed by itself; by default all of it.

    Attributes:
        start: The first of its stills, by their position in their source.
        stop: The one after the last; None for all, as for a recording.
        recording: Which recording or folder of a collection it is from.
        name: How messages call it.
    """

    start: int = 0
    stop: int | None = None
    recording: int = 0
    name: str = "all pairs"
