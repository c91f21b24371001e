"""pairs.csv: how far the images of each pair are apart, and which pairs one camera alone made."""

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from common.cells import cell
from common.files import writing
from pipeline.geometry.misalignment import TELLING

COLUMNS = ("key", "dead", "shift_x", "shift_y", "response")
FAR = 8.0  # pixels, beyond what the measure itself is off by on well registered recordings


class AlignmentFile:
    """Writes one row a pair and remembers 8 bytes of each; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._distances = array("d")
        with writing(path):
            self._file = path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
            self._writer = csv.writer(self._file)
            self._writer.writerow(COLUMNS)

    def add(self, key: str, dead: str | None, shift: Sequence[float | None] | None) -> None:
        """Append a pair.

        Args:
            key: Of the pair.
            dead: The camera that showed nothing.
            shift: ``pipeline.frames.Misalignment``, None for what isn't known.
        """
        x, y, response = shift or (None, None, None)
        with writing(self._path):
            self._writer.writerow((cell(key), dead, x, y, response))
        if x is not None and y is not None and response is not None and response >= TELLING:
            self._distances.append(math.hypot(x, y))

    def summary(self) -> dict[str, float | int | None]:
        """``alignment`` of ``results.json``: over the pairs whose shift can be told.

        Their number; median and 95th percentile of the shift's length in visible pixels, None where
        there is no such pair.
        """
        if not self._distances:
            return {"pairs": 0, "median_px": None, "p95_px": None}
        median, high = np.percentile(np.array(self._distances), [50, 95])
        return {
            "pairs": len(self._distances),
            "median_px": round(float(median), 3),
            "p95_px": round(float(high), 3),
        }

    def warnings(self) -> Iterator[str]:
        """That the images lie far apart, if they do."""
        median = self.summary()["median_px"]
        if median is not None and median > FAR:
            yield (
                f"infrared and visible images seem to be {median:.0f} pixels apart (median): "
                "register them first (irvis calibrate)"
            )

    def __enter__(self) -> "AlignmentFile":
        return self

    def __exit__(self, *error: object) -> None:
        with writing(self._path):
            self._file.close()
