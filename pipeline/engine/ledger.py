"""ledger.csv: every frame that did not become part of a normal pair, with its reason."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from common.cells import cell
from common.files import writing
from pipeline.frames import BadPair, Dropped, FramePair

COLUMNS = ("key", "status", "ir_frame", "vis_frame", "reason")


class Ledger:
    """Counts every pair once and writes a row for each that is not ``paired``.

    ``counts`` has ``paired`` (pairs that all arms processed), ``unpaired`` (frames without a
    partner), ``dropped`` (frames discarded by a live source), ``failed`` (pairs that could not be
    read or fused) and ``fallback`` (pairs with one dead camera, processed from the other alone).
    """

    def __init__(self, path: Path) -> None:
        """Create the file, replacing an earlier one.

        Raises:
            DataError: It can't be written; the methods raise it too.
        """
        self._path = path
        with writing(path):
            self._file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._writer = csv.writer(self._file)
        self._row(COLUMNS)
        self._counts = {"paired": 0, "unpaired": 0, "dropped": 0, "failed": 0, "fallback": 0}

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts so far."""
        return dict(self._counts)

    def paired(self) -> None:
        """Count a normal pair."""
        self._counts["paired"] += 1

    def bad(self, pair: FramePair | BadPair, reason: str) -> None:
        """Count and write a pair that is left out."""
        whole = isinstance(pair, BadPair) or (pair.ir is not None and pair.vis is not None)
        self._write(pair.key, "failed" if whole else "unpaired", _indices(pair), reason)

    def fallback(self, pair: FramePair, reason: str) -> None:
        """Count and write a pair that is processed from one modality alone."""
        self._write(pair.key, "fallback", _indices(pair), reason)

    def dropped(self, frame: Dropped) -> None:
        """Count and write a frame that a live source discarded."""
        indices = (frame.index, "") if frame.modality == "ir" else ("", frame.index)
        self._write("", "dropped", indices, frame.reason)

    def append(self, path: Path, counts: Mapping[str, int]) -> None:
        """Append the rows of another ledger's file, and add its counts."""
        with writing(self._path):
            text = path.read_bytes().decode("utf-8")
            self._file.write(text.partition("\n")[2])
            self._file.flush()
        for status, number in counts.items():
            self._counts[status] += number

    def _write(self, key: str, status: str, indices: tuple[int | str, ...], reason: str) -> None:
        self._counts[status] += 1
        self._row((key, status, *indices, reason))

    def _row(self, values: Sequence[int | str]) -> None:
        with writing(self._path):
            self._writer.writerow([cell(value) for value in values])
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # of data that an earlier write to a full disk reported
            self._file.close()


def _indices(pair: FramePair | BadPair) -> tuple[int | str, ...]:
    """Indices of the infrared and the visible frame, empty for a missing one."""
    if isinstance(pair, BadPair):
        return "", ""
    return tuple(
        "" if frame is None or frame.index < 0 else frame.index for frame in (pair.ir, pair.vis)
    )
