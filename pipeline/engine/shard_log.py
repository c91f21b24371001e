"""The results of a shard as columns: a batch of pairs is a record batch of an Arrow file.

All numbers are stored as computed. Images, where a sink needs them, are files beside it: those of
arms PNG, those of the cameras as NumPy writes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.files import writing
from common.modality import MODALITIES, Modality
from detection.boxes import Detections
from eval.labels import Labels
from pipeline.engine.flow import Done
from pipeline.frames import Frame, FramePair, Image, Item, Misalignment, Result
from pipeline.images import read_image, to_rgb, write_png

RESULTS_LOG = "results.arrow"
IMAGES = "images"  # folder of <arm>/<number>.png and <camera>.frames/<number>.npy


@dataclass(frozen=True, slots=True)
class Kept:
    """Which images are kept for the sinks.

    Attributes:
        arms: Arms whose images a sink reads.
        frames: Whether a sink reads the images of the cameras.
    """

    arms: tuple[str, ...] = ()
    frames: bool = False


class ShardLog:
    """Writes results; a context manager."""

    def __init__(self, folder: Path, kept: Kept) -> None:
        self._folder, self._kept = folder, kept
        self._file: pa.RecordBatchFileWriter | None = None
        for name in (*kept.arms, *_frames(kept)):
            with writing(folder / IMAGES):
                (folder / IMAGES / name).mkdir(parents=True)

    def write(self, results: Sequence[Result]) -> None:
        """Append the results of a batch."""
        batch = pa.RecordBatch.from_pydict(_columns(results))
        with writing(self._folder):
            if self._file is None:
                self._file = pa.ipc.new_file(self._folder / RESULTS_LOG, batch.schema)
            self._file.write_batch(batch)
            for result in results:
                self._write_images(result)

    def _write_images(self, result: Result) -> None:
        images = self._folder / IMAGES
        for arm in self._kept.arms:
            write_png(images / arm / f"{result.number}.png", result.image(arm))
        for camera, frame in zip(_frames(self._kept), result.item.pair.whole()[1:], strict=False):
            np.save(images / camera / f"{result.number}.npy", frame.image)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            with writing(self._folder):
                self._file.close()


def has_images(folder: Path, kept: Kept) -> bool:
    """Whether a shard has the images that are to be kept."""
    return all((folder / IMAGES / name).is_dir() for name in (*kept.arms, *_frames(kept)))


def read_log(folder: Path, first: int, done: int, kept: Kept) -> Iterator[Done]:
    """The results of a shard, batch by batch; without images but for those that were kept.

    Args:
        folder: The shard's.
        first: The number of its first pair in the run.
        done: Number of the run's first pairs whose results aren't needed; at the end of a batch.
        kept: Which images it has.
    """
    path = folder / RESULTS_LOG
    if not path.is_file():
        return
    with pa.OSFile(str(path)) as file:
        reader = pa.ipc.open_file(file)
        pairs = first
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            pairs += batch.num_rows
            needed = pairs > done
            yield Done(pairs, _results(batch, folder / IMAGES, first, kept) if needed else [])


class _Images(Mapping[str, Tensor]):
    """The images of a pair's arms, uint8 [3, H, W], each read when it is asked for."""

    def __init__(self, folder: Path, number: int, arms: tuple[str, ...]) -> None:
        self._folder, self._number, self._arms = folder, number, arms

    def __getitem__(self, arm: str) -> Tensor:
        if arm not in self._arms:
            raise KeyError(arm)
        image = read_image(self._folder / arm / f"{self._number}.png")  # [H, W, 3]
        return torch.from_numpy(np.array(to_rgb(image))).permute(2, 0, 1)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arms)

    def __len__(self) -> int:
        return len(self._arms)


def _frames(kept: Kept) -> tuple[str, ...]:
    return ("ir.frames", "vis.frames") if kept.frames else ()


def _columns(results: Sequence[Result]) -> dict[str, pa.Array]:
    """A row a pair; lists where a pair has several values."""
    items = [result.item for result in results]
    pairs = [item.pair.whole() for item in items]
    columns: dict[str, Any] = {
        "number": pa.array([result.number for result in results], pa.int64()),
        "key": pa.array([p.key.encode("utf-8", "surrogateescape") for p in pairs], pa.binary()),
        "index": pa.array([item.pair.index for item in items], pa.int64()),
        "recording": pa.array([item.pair.recording for item in items], pa.int64()),
        "size": _ragged([np.array(item.size) for item in items], pa.int64()),
        "light": pa.array([item.light for item in items], pa.string()),
        "dead": pa.array([item.dead for item in items], pa.string()),
        "shift": pa.array([_plain(item.misalignment) for item in items], pa.list_(pa.float64())),
        "labelled": pa.array([item.labels is not None for item in items]),
    }
    both = {"ir": [pair.ir for pair in pairs], "vis": [pair.vis for pair in pairs]}
    for camera, frames in both.items():
        columns[f"{camera}.time"] = pa.array([f.timestamp_ns for f in frames], pa.int64())
        columns[f"{camera}.index"] = pa.array([f.index for f in frames], pa.int64())
    columns |= _labels("labels", [item.labels or Labels.empty() for item in items])
    for camera in items[0].own_labels:
        columns |= _labels(f"own.{camera}", [item.own_labels[camera] for item in items])
    for arm in results[0].detections:
        boxes = [result.detections[arm] for result in results]
        columns[f"boxes/{arm}/xyxy"] = _ragged([b.xyxy for b in boxes], pa.float32())
        columns[f"boxes/{arm}/score"] = _ragged([b.score for b in boxes], pa.float32())
        columns[f"boxes/{arm}/class_id"] = _ragged([b.class_id for b in boxes], pa.int64())
    for arm, row in results[0].quality.items():
        for metric in row:
            values = [result.quality[arm][metric] for result in results]
            columns[f"quality/{arm}/{metric}"] = pa.array(values, pa.float64())
    return columns


def _labels(name: str, labels: Sequence[Labels]) -> dict[str, pa.Array]:
    return {
        f"{name}.xyxy": _ragged([one.xyxy for one in labels], pa.float64()),
        f"{name}.class_id": _ragged([one.class_id for one in labels], pa.int64()),
        f"{name}.ignore": _ragged([one.ignore for one in labels], pa.float64()),
    }


def _plain(shift: Misalignment | None) -> list[float] | None:
    return None if shift is None else list(shift)


def _ragged(arrays: Sequence[NDArray[Any]], kind: pa.DataType) -> pa.Array:
    """Arrays of any length, flat, as a column of lists."""
    ends = np.cumsum([0, *(array.size for array in arrays)]).astype(np.int32)
    flat = np.concatenate([array.ravel() for array in arrays])
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(flat, kind))


class _Row:
    """Reads a record batch row by row."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.plain: dict[str, list[Any]] = {}
        self.lists: dict[str, list[NDArray[Any]]] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_list(column.type) and name != "shift":
                flat, ends = column.values.to_numpy(), column.offsets.to_numpy()
                self.lists[name] = np.split(flat, ends[1:-1]) if len(ends) > 1 else []
            else:
                self.plain[name] = column.to_pylist()

    def array(self, name: str, row: int) -> NDArray[Any]:
        """A list of the row, writable as what was computed."""
        return self.lists[name][row].copy()

    def boxes(self, name: str, row: int) -> NDArray[Any]:
        """The same as (n, 4)."""
        return self.array(name, row).reshape(-1, 4)

    def named(self, prefix: str) -> list[tuple[str, str]]:
        """The names `prefix/arm/what` as arm and what, in order."""
        names = (*self.plain, *self.lists)
        found = (name.split("/") for name in names if name.startswith(f"{prefix}/"))
        return [(arm, what) for _, arm, what in found]

    def labels(self, name: str, row: int) -> Labels:
        """Labels of the row."""
        return Labels(
            self.boxes(f"{name}.xyxy", row),
            self.array(f"{name}.class_id", row),
            self.boxes(f"{name}.ignore", row),
        )


def _results(batch: pa.RecordBatch, images: Path, first: int, kept: Kept) -> list[Result]:
    rows = _Row(batch)
    arms = list(dict.fromkeys(arm for arm, _ in rows.named("boxes")))
    metrics = rows.named("quality")
    results = []
    for i, number in enumerate(rows.plain["number"]):
        detections = {
            arm: Detections(
                rows.boxes(f"boxes/{arm}/xyxy", i),
                rows.array(f"boxes/{arm}/score", i),
                rows.array(f"boxes/{arm}/class_id", i),
            )
            for arm in arms
        }
        quality: dict[str, dict[str, float]] = {}
        for arm, metric in metrics:
            quality.setdefault(arm, {})[metric] = rows.plain[f"quality/{arm}/{metric}"][i]
        pictures = _Images(images, number, kept.arms)
        item = _item(rows, i, images, kept)
        results.append(Result(first + number, item, pictures, detections, quality))
    return results


def _item(rows: _Row, i: int, images: Path, kept: Kept) -> Item:
    plain = {name: column[i] for name, column in rows.plain.items()}
    height, width = rows.array("size", i).tolist()
    frames = {}
    for camera in MODALITIES:
        image: Image = np.broadcast_to(np.uint8(0), (height, width))  # only its size is known
        if kept.frames:
            image = np.load(images / f"{camera}.frames" / f"{plain['number']}.npy")
        frames[camera] = Frame(image, plain[f"{camera}.time"], plain[f"{camera}.index"])
    key = plain["key"].decode("utf-8", "surrogateescape")
    pair = FramePair(
        key, frames["ir"], frames["vis"], index=plain["index"], recording=plain["recording"]
    )
    own: dict[Modality, Labels] = {
        camera: rows.labels(f"own.{camera}", i)
        for camera in MODALITIES
        if f"own.{camera}.xyxy" in rows.lists
    }
    return Item(
        pair,
        rows.labels("labels", i) if plain["labelled"] else None,
        {},
        plain["light"],
        plain["dead"],
        None if plain["shift"] is None else Misalignment(*plain["shift"]),
        own,
    )
