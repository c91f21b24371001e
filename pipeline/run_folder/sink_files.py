"""Files of the sinks that outlive the process: `Lines`, one a pair, and `Parts`, one a checkpoint.

Both find at a resume what was written beyond the last checkpoint, and drop it.
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
    """The error of a sink that lacks the pairs that were done before a resume."""
    return ConfigError(
        f"sinks.{sink}: was not there for the first {done} pairs of this run; leave it out with "
        f"sinks.{sink}=null, or start a new run"
    )


class Lines:
    """A text file that grows by a line at a time; each is the system's as soon as it is written.

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
            # without a buffer, nothing is left to write when the disk is full and it is closed
            self._file = path.open("ab", buffering=0)

    def write(self, line: str) -> None:
        """Append a line; the text ends without a line break."""
        rest = memoryview(f"{line}\n".encode())
        with writing(self._path):
            while rest:  # a disk that gets full takes a part
                rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> Iterator[Any]:
    """What `Lines` of JSON hold, one value a line."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


class Parts:
    """A file that is made in parts, each whole, which become one at the end.

    The parts lie in a folder beside the file, each named after its first and its last pair:
    `video/film.parts/000064-000127.mp4`. One that is being written has no last pair yet.

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
        # The file takes its name when it is whole: the run broke off later, while it ended.
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
        """The parts that are complete, in order; none once they are joined."""
        return [] if self._finished else [path for _, _, path in self._ranges()]

    def begin(self, number: int) -> Path:
        """Where to write the part that begins with a pair.

        Raises:
            DataError: The file was completed by the run that broke off.
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
        """Call the part that was begun complete; its file is closed and ends with a pair."""
        name = f"{self._first:06d}-{number:06d}{self._final.suffix}"
        with writing(self._path):
            self._path.rename(self._path.with_name(name))

    def join(self, write: Callable[[Sequence[Path], Path], None]) -> None:
        """Make the file with a function from the parts to a path, and remove the parts."""
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
        found = [(named.fullmatch(path.name), path) for path in self._folder.iterdir()]
        return sorted((int(match[1]), int(match[2]), path) for match, path in found if match)

    def _chain(self, done: int) -> list[Path]:
        """The parts that hold the pairs that were done; none if some of these are missing."""
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
