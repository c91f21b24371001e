"""The detections of an arm during a run: 28 bytes each, pair after pair, only in a partial folder.

How many each pair has stands in the line of the pair in `frames.jsonl`.
"""

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


def read_detections(folder: Path, arm: str, count: int) -> Detections:
    """The detections of all pairs of an arm.

    Args:
        folder: The run's.
        arm: Its name.
        count: How many there must be.

    Raises:
        DataError: There are not so many.
    """
    path = folder / detections_file(arm)
    records: NDArray[np.void] = np.fromfile(path, RECORD)
    if len(records) != count:
        raise DataError(f"{path}: has {len(records)} detections instead of {count}; run it again")
    return Detections(*(np.ascontiguousarray(records[name]) for name in RECORD.names or ()))
