"""ledger.csv: every frame that did not become part of a processed pair, with its reason."""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.frames import BadPair, FramePair

COLUMNS = ("key", "status", "ir_frame", "vis_frame", "reason")


class Ledger:
    """Counts every pair once and writes down those that were not processed.

    ``counts`` has ``paired`` (pairs that all arms processed), ``unpaired`` (frames without a
    partner), ``dropped`` (frames given up by a live source), ``failed`` (pairs that could not be
    read or fused) and ``fallback`` (pairs fused from one camera alone).
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._writer = csv.writer(self._file)
        self._writer.writerow(COLUMNS)
        self._counts = {"paired": 0, "unpaired": 0, "dropped": 0, "failed": 0, "fallback": 0}

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts so far."""
        return dict(self._counts)

    def paired(self) -> None:
        """Count a whole pair."""
        self._counts["paired"] += 1

    def bad(self, pair: FramePair | BadPair, reason: str) -> None:
        """Count and write a pair that is left out."""
        whole = isinstance(pair, BadPair) or (pair.ir is not None and pair.vis is not None)
        status = "failed" if whole else "unpaired"
        self._counts[status] += 1
        frames = (None, None) if isinstance(pair, BadPair) else (pair.ir, pair.vis)
        indices = ["" if frame is None else frame.index for frame in frames]
        self._writer.writerow((pair.key, status, *indices, reason))
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
