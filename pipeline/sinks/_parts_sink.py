"""A sink of one file, of which each checkpoint completes a part."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from common.errors import DataError
from pipeline.interfaces import Sink, Summary
from pipeline.run_folder.sink_files import Parts


class PartFile(Protocol):
    """A part that is being written."""

    def close(self) -> None:
        """Complete the file."""
        ...


File = TypeVar("File", bound=PartFile)


class PartsSink(Sink, Generic[File]):
    """Writes one file per checkpoint and joins them at the end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._file: File | None = None
        self._last = 0  # pair of the open part

    def begin(self, path: Path) -> File:
        """Begin a part."""
        raise NotImplementedError

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Write all parts into one file."""
        raise NotImplementedError

    def part(self, number: int) -> File:
        """The part that a pair belongs to, which is begun if none is open."""
        if self._file is None:
            self._file = self.begin(self._parts.begin(number))
        self._last = number
        return self._file

    def flush(self) -> None:
        """Complete the part."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._parts.end(self._last)

    def finish(self, summary: Summary) -> None:
        """Join the parts."""
        self.flush()
        self._parts.join(self.join)

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with suppress(DataError):  # the run failed already, with an error of its own
                self._file.close()
