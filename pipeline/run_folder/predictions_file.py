"""`predictions/<arm>.json`: COCO results, written from columns."""

from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from common.files import writing
from detection.boxes import Detections
from eval.predictions import Predictions

_LARGE = 2.0**32  # thousandths of a pixel from which the check for halves is too coarse


def as_written(found: Detections, image_id: NDArray[np.int64]) -> Predictions:
    """Detections as the numbers that stand in the file, in their order.

    Scores are the shortest decimals that give the same float32 back, boxes are rounded to a
    thousandth of a pixel; -0.0 becomes 0.0.

    Args:
        found: n detections of any images.
        image_id: (n,), of each one's image in the ground truth.
    """
    xyxy = found.xyxy.astype(np.float64)
    bbox = _rounded(np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1))
    decimals = pc.cast(pa.array(found.score), pa.string())
    return Predictions(image_id, found.class_id, bbox, pc.cast(decimals, pa.float64()).to_numpy())


class PredictionsFile:
    """Writes a JSON list, one entry per line, with `json.dumps`' bytes; a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with writing(path):
            path.parent.mkdir(exist_ok=True)
            self._file = path.open("wb")
        self._separator = b"["

    def extend(self, found: Predictions) -> None:
        """Append predictions, whose text is in memory at once."""
        if len(found) == 0:
            return
        with writing(self._path):
            self._file.write(self._separator)
            self._file.write(_lines(found))
        self._separator = b",\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with writing(self._path), self._file:
            self._file.write(b"[]\n" if self._separator == b"[" else b"]\n")


def _lines(found: Predictions) -> memoryview:
    """The entries, one per line."""
    left, top, width, height = map(_text, found.bbox.T)
    image_id, category_id = (
        pc.cast(pa.array(column), pa.string()) for column in (found.image_id, found.category_id)
    )
    lines = pc.binary_join_element_wise(
        '{"image_id": ', image_id, ', "category_id": ', category_id, ', "bbox": [', left, ", ", top,
        ", ", width, ", ", height, '], "score": ', _text(found.score), "},\n", "",
    )  # fmt: skip
    _, ends, text = lines.buffers()  # the text of all lines is one piece
    size = np.frombuffer(ends, np.int32)[len(lines)]
    return memoryview(text)[: size - 2]  # without the last comma


def _text(values: NDArray[np.float64]) -> pa.Array:
    """Each number (n,) as Python and JSON write it."""
    text = pc.cast(pa.array(values), pa.string())
    size = np.abs(values)
    # Arrow begins earlier with exponents, in another form, and writes no .0
    other = ((size < 1e-4) & (size > 0)) | (size >= 1e9)
    if other.any():
        text = pc.replace_with_mask(
            text, pa.array(other), pa.array(map(repr, values[other].tolist()), pa.string())
        )
    whole = pa.array((values == np.rint(values)) & ~other)
    return pc.binary_join_element_wise(text, pc.if_else(whole, ".0", ""), "")


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Python's ``round(value, 3)`` of each, which is exact; -0.0 becomes 0.0."""
    scaled = values * 1000
    whole = np.rint(scaled)
    rounded = whole / 1000
    # near a half the product may have fallen on the other side
    unsure = (np.abs(np.abs(scaled - whole) - 0.5) < 1e-6) | (np.abs(scaled) > _LARGE)
    rounded[unsure] = [round(value, 3) for value in values[unsure].tolist()]
    return rounded + 0.0
