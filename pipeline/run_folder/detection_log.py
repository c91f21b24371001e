"""The detections of an arm during a run: 28 bytes each, pair after pair, only in a partial folder.

How many each pair has stands in the line of the pair in `frames.jsonl`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.files import writing
from detection.boxes import Detections
from pipeline.run_folder.names import detections_file
from pipeline.run_folder.sink_files import damaged

RECORD = np.dtype([("xyxy", "<f4", (4,)), ("score", "<f4"), ("class_id", "<i8")])


class DetectionLog:
    """Appends the detections of an arm, unbuffered.

    Args:
        folder: The run's.
        arm: Its name.
        count: Detections of the pairs that the interrupted run finished; later ones are removed.

    Raises:
        DataError: The file has fewer, or can't be written.
    """

    def __init__(self, folder: Path, arm: str, count: int) -> None:
        self._path = path = folder / detections_file(arm)
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            # unbuffered, so that closing can't fail on a full disk
            self._file = path.open("ab", buffering=0)
            if (size := path.stat().st_size) < count * RECORD.itemsize:
                self._file.close()
                raise damaged(path, f"{size} bytes are too few for {count} detections")
            self._file.truncate(count * RECORD.itemsize)

    def write(self, detections: Detections) -> None:
        """Append the detections of a pair."""
        records = np.empty(len(detections), RECORD)
        for name in RECORD.names or ():
            records[name] = getattr(detections, name)
        rest = memoryview(records.tobytes())
        with writing(self._path):
            while rest:  # a write may be partial if the disk is nearly full
                rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_detections(
    folder: Path, arm: str, counts: NDArray[np.int64], block: int
) -> Iterator[tuple[Detections, NDArray[np.int64]]]:
    """The detections of all pairs of an arm, some at a time.

    Args:
        folder: The run's.
        arm: Its name.
        counts: How many each pair has, (pairs,).
        block: How many at a time.

    Yields:
        n detections, and the place of each one's pair, (n,).

    Raises:
        DataError: There are not so many.
    """
    path, ends = folder / detections_file(arm), counts.cumsum()
    found, wanted = path.stat().st_size, int(counts.sum())
    if found != wanted * RECORD.itemsize:
        raise DataError(f"{path}: {found} bytes are not {wanted} detections; start a new run")
    with path.open("rb") as file:
        for start in range(0, wanted, block):
            records = np.fromfile(file, RECORD, block)
            place = np.arange(start, start + len(records))
            columns = (np.ascontiguousarray(records[name]) for name in RECORD.names or ())
            yield Detections(*columns), np.searchsorted(ends, place, side="right")
