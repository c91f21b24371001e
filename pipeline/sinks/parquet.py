"""All detections as a table, one row each: `<sink>.parquet`.

Columns: `key`, `number` (of the pair, from 0), `time_ns` (of the visible frame, null for stills),
`arm`, `class_id`, `class`, `score`, and `x1`, `y1`, `x2`, `y2` in pixels, unrounded. Pairs without
detections have no row; the file's metadata state the number of `pairs` and the `arms`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from common.component import SinkConfig
from common.errors import ConfigError, cut
from common.files import writing
from detection.boxes import Detections
from pipeline.frames import Result
from pipeline.interfaces import RunContext
from pipeline.run_folder.sink_files import Parts, damaged
from pipeline.sinks._parts_sink import PartsSink

ROW_GROUP = 65_536  # rows, at least, except in the last group
COLUMNS = pa.schema(
    [
        ("key", pa.string()), ("number", pa.int64()), ("time_ns", pa.int64()),
        ("arm", pa.string()), ("class_id", pa.int64()), ("class", pa.string()),
        ("score", pa.float32()),
        *((name, pa.float32()) for name in ("x1", "y1", "x2", "y2")),
    ]
)  # fmt: skip


class Config(SinkConfig):
    """Nothing to set."""

    reads_images = reads_frames = False


def build(config: Config, context: RunContext, name: str) -> "ParquetSink":
    """The sink.

    Raises:
        ConfigError: There is no detector, or the interrupted run didn't have this sink.
    """
    if context.detector is None:
        raise ConfigError(f"sinks.{name}: there are no detections without a detector; add one")
    parts = Parts(context.folder / f"{name}.parquet", name, context.done, _check)
    return ParquetSink(parts, context.detector.names, context.arms, context.done)


class ParquetSink(PartsSink["_Table"]):
    """Writes detections."""

    def __init__(
        self, parts: Parts, names: Mapping[int, str], arms: Sequence[str], done: int
    ) -> None:
        super().__init__(parts)
        self._names, self._arms = names, arms
        self._pairs = done

    def begin(self, path: Path) -> "_Table":
        """Begin a part."""
        return _Table(path, COLUMNS)

    def write(self, result: Result) -> None:
        """Append one pair's detections."""
        self.part(result.number).append(pa.table(self._rows(result), schema=COLUMNS))
        self._pairs = result.number + 1

    def _rows(self, result: Result) -> dict[str, object]:
        """One pair's rows by column, arm after arm."""
        by_arm = result.detections
        boxes = Detections.concatenate(list(by_arm.values()))
        pair = result.item.pair.whole()
        class_ids = boxes.class_id.tolist()
        return {
            # a key may be a file name that is not Unicode
            "key": [pair.key.encode(errors="backslashreplace").decode()] * len(boxes),
            "number": [result.number] * len(boxes),
            "time_ns": [pair.vis.timestamp_ns] * len(boxes),
            "arm": [arm for arm, detections in by_arm.items() for _ in range(len(detections))],
            "class_id": boxes.class_id,
            "class": [self._names.get(class_id, str(class_id)) for class_id in class_ids],
            "score": boxes.score,
            **dict(zip(("x1", "y1", "x2", "y2"), np.ascontiguousarray(boxes.xyxy.T), strict=True)),
        }

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Copy all parts into one file, one row group at a time."""
        metadata = {"pairs": str(self._pairs), "arms": json.dumps(self._arms)}
        whole = _Table(path, COLUMNS.with_metadata(metadata))
        for part in parts:
            with parquet.ParquetFile(part) as file:
                for group in range(file.num_row_groups):
                    whole.append(file.read_row_group(group))
        whole.close()


def _check(part: Path) -> None:
    """Read a part of an interrupted run.

    Raises:
        DataError: It can't be read, or has other columns.
    """
    try:
        with parquet.ParquetFile(part) as file:
            if not file.schema_arrow.equals(COLUMNS):
                raise damaged(part, "it has other columns")
            for group in range(file.num_row_groups):
                file.read_row_group(group)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(part, cut(str(error))) from error


class _Table:
    """A Parquet file, written a row group at a time."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._held: list[pa.Table] = []
        with writing(path):
            self._writer = parquet.ParquetWriter(path, schema)

    def append(self, rows: pa.Table) -> None:
        """Buffer rows, and write them when they fill a row group."""
        self._held.append(rows)
        if sum(len(table) for table in self._held) >= ROW_GROUP:
            self._write()

    def close(self) -> None:
        """Write the buffered rows and close the file."""
        with writing(self._path):
            try:
                self._write()
            finally:
                self._writer.close()

    def _write(self) -> None:
        held, self._held = self._held, []
        if any(len(table) for table in held):
            rows = pa.concat_tables(held).replace_schema_metadata(self._schema.metadata)
            with writing(self._path):
                self._writer.write_table(rows.combine_chunks(), row_group_size=2 * ROW_GROUP)
