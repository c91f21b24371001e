"""Resumable files of sinks: `Lines`, one per pair, and `Parts`, one per checkpoint.

On resuming, both drop everything written after the last checkpoint.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from common.errors import ConfigError, DataError, cut
from common.files import writing


def joined_late(sink: str, done: int) -> ConfigError:
    """The error of a sink that lacks the pairs before a resume."""
    return ConfigError(
        f"sinks.{sink}: was not there for the first {done} pairs of this run; leave it out with "
        f"sinks.{sink}=null, or start a new run"
    )


class Lines:
    """A text file that is appended line by line, without buffering.

    Args:
        path: The file.
        sink: Whose it is.
        done: Lines of JSON that an earlier, broken-off run finished; what lies beyond them is cut
            off.
        check: Raises a ValueError for the value of such a line that isn't what it should be.

    Raises:
        ConfigError: The file has fewer lines than that.
        DataError: It can't be written, or one of these lines is damaged: now, and not when all has
            been computed.
    """

    def __init__(
        self, path: Path, sink: str, done: int, check: Callable[[Any], object] = lambda value: None
    ) -> None:
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if _keep_lines(path, done, check) < done:
                raise joined_late(sink, done)
            # unbuffered, so that closing writes nothing when the disk is full
            self._file = path.open("ab", buffering=0)

    def write(self, line: str) -> None:
        """Append a line; the text ends without a line break."""
        rest = memoryview(f"{line}\n".encode())
        with writing(self._path):
            while rest:  # a nearly full disk may write a part only
                rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> Iterator[Any]:
    """Read JSON `Lines`, one value per line."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


class Parts:
    """A file that is written in complete parts, which are joined at the end.

    The parts are in a folder beside the file, named by their first and last pair:
    `video/film.parts/000064-000127.mp4`. The name of an unfinished part has no last pair.

    Args:
        final: The file that they become.
        sink: Whose it is.
        done: Pairs that an earlier, broken-off run finished; parts beyond them are removed.
        check: Reads a part of theirs, with an error if it is damaged.

    Raises:
        ConfigError: Some of these pairs are in no part.
        DataError: The folder can't be written, or what ``check`` raises.
    """

    def __init__(
        self, final: Path, sink: str, done: int, check: Callable[[Path], object] = lambda part: None
    ) -> None:
        self._final, self._folder = final, final.with_suffix(".parts")
        self._first, self._path = 0, final
        # the file exists only when joined, so the run was interrupted after that
        self._finished = done > 0 and final.exists()
        if self._finished:
            return
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            kept = self._chain(done)
            if len(kept) == 0 and done > 0:
                raise joined_late(sink, done)
            for path in set(self._folder.iterdir()) - set(kept):
                path.unlink()
        for path in kept:
            check(path)

    @property
    def whole(self) -> Sequence[Path]:
        """The complete parts in order; empty after joining."""
        return [] if self._finished else [path for _, _, path in self._ranges()]

    def begin(self, number: int) -> Path:
        """Start a part with a pair, and return its path.

        Raises:
            DataError: The file was completed by the interrupted run.
        """
        if self._finished:
            raise DataError(
                f"{self._final}: was complete before pair {number}; the source has grown since, "
                "start a new run"
            )
        self._first = number
        self._path = self._folder / f"{number:06d}{self._final.suffix}"
        return self._path

    def end(self, number: int) -> None:
        """Mark the part as complete, ending with a pair; its file must be closed."""
        name = f"{self._first:06d}-{number:06d}{self._final.suffix}"
        with writing(self._path):
            self._path.rename(self._path.with_name(name))

    def join(self, write: Callable[[Sequence[Path], Path], None]) -> None:
        """Join the parts by ``write``, from the parts to a path, and remove them."""
        if not self._finished:
            whole = self._folder / f"whole{self._final.suffix}"
            write(self.whole, whole)
            with writing(self._final):
                whole.replace(self._final)
            self._finished = True
        if self._folder.exists():
            with writing(self._folder):
                shutil.rmtree(self._folder)

    def _ranges(self) -> list[tuple[int, int, Path]]:
        """First pair, last pair and path of the complete parts, in order."""
        named = re.compile(r"(\d+)-(\d+)" + re.escape(self._final.suffix))
        matches = [(named.fullmatch(path.name), path) for path in self._folder.iterdir()]
        return sorted((int(match[1]), int(match[2]), path) for match, path in matches if match)

    def _chain(self, done: int) -> list[Path]:
        """The parts with the first ``done`` pairs; empty if a pair is missing."""
        kept, end = [], 0
        for first, last, path in self._ranges():
            if first == end and last < done:
                kept.append(path)
                end = last + 1
        return kept if end == done else []


def damaged(where: object, reason: object) -> DataError:
    """The error for what an earlier run wrote and a resume can't read."""
    return DataError(
        f"run.resume: {where} is damaged ({reason}); remove the unfinished run's folder and start "
        "a new run"
    )


def _keep_lines(path: Path, count: int, check: Callable[[Any], object]) -> int:
    """Cut a file after so many lines; how many there are now, fewer if it didn't have so many."""
    if not path.exists():
        return 0
    kept = 0
    with path.open("rb+") as file:
        while kept < count and (line := file.readline()).endswith(b"\n"):
            kept += 1
            try:
                check(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise damaged(f"{path}:{kept}", cut(str(error))) from error
        if kept == count:
            file.truncate()
    return kept
