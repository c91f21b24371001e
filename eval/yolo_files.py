"""YOLO txt: lines `class cx cy w h`, polygons, and predictions with a confidence."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import DataError
from common.files import read_text
from common.numbers import decimal
from eval.class_map import SourceClass
from eval.labelled_image import LabelledImage

ROUNDING = 0.01  # of the image's side: so far outside a coordinate may lie, and is clipped
_EPSILON = 1e-9


class Line(NamedTuple):
    """One object: fractions (left, top, right, bottom); the score of a prediction, 1 of a label."""

    number: int
    class_id: int
    xyxy: tuple[float, float, float, float]
    score: float


def read_yolo(path: Path, text: str) -> LabelledImage:
    """Labels, in fractions of the image's width and height.

    Raises:
        errors.DataError: A line is none of a label; the text names it.
    """
    objects = [
        (SourceClass(line.class_id, None), line.xyxy, False)
        for line in _lines(path, text, scored=False)
    ]
    return LabelledImage.of(objects, str(path), normalised=True)


def read_yolo_predictions(path: Path) -> list[Line]:
    """Predictions `class cx cy w h confidence`, as detect.py --save-txt --save-conf writes them.

    Polygons with a confidence become their boxes; a track's number at the end is passed over.

    Raises:
        errors.DataError: A line is none of a prediction; the text names it.
    """
    return list(_lines(path, read_text(path), scored=True))


def _lines(path: Path, text: str, *, scored: bool) -> Iterator[Line]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            where = f"{path}:{number}"
            values = _numbers(where, line, scored=scored)
            score = 1.0
            if scored:
                values, score = _with_score(where, values)
            box = _box(where, values[1:]) if len(values) == 5 else _polygon(where, values[1:])
            yield Line(number, int(values[0]), box, score)


def _numbers(where: str, line: str, *, scored: bool) -> list[float]:
    """The fields of one line; the first is a whole number, 0.0 too."""
    form = "class cx cy w h" + (" confidence" if scored else "")
    fields = line.split()
    count = len(fields)
    if not scored and count != 5 and (count < 7 or count % 2 == 0):
        hint = ""
        if count == 6:
            hint = " (with a confidence it is a prediction: remove the sixth)"
        raise DataError(f"{where}: {count} fields, expected 5; write '{form}'{hint}")
    if scored and count < 6:
        hint = "; detect.py writes the confidence with --save-conf" if count == 5 else ""
        raise DataError(f"{where}: {count} fields, expected 6; write '{form}'{hint}")
    try:
        values = [decimal(field) for field in fields]
        sound = values[0].is_integer() and 0 <= values[0] < 2**31
    except ValueError:
        sound = False
    if not sound:
        raise DataError(
            f"{where}: {line.strip()[:80]!r} is not a whole number and numbers; write '{form}'"
        )
    return values


def _with_score(where: str, values: list[float]) -> tuple[list[float], float]:
    """Class and coordinates, and the score behind them."""
    if len(values) == 7 and values[6].is_integer() and values[6] >= 1:
        values = values[:6]  # ultralytics' tracks end with their number
    if len(values) % 2:
        raise DataError(
            f"{where}: {len(values)} fields with no confidence among them; write 'class cx cy w h "
            "confidence', as detect.py does with --save-conf"
        )
    if not 0 <= values[-1] <= 1:
        raise DataError(f"{where}: confidence {values[-1]!r} must be in [0, 1]")
    return values[:-1], values[-1]


def _box(where: str, values: Sequence[float]) -> tuple[float, float, float, float]:
    for name, value in zip(("cx", "cy", "w", "h"), values, strict=True):
        _check(where, name, value)
        if name in "wh" and value <= 0:
            wrong = "zero" if value == 0 else "negative"
            raise DataError(
                f"{where}: {name} = {value!r} is {wrong}; remove the line or give the box a size"
            )
    cx, cy, w, h = values
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def _polygon(where: str, values: Sequence[float]) -> tuple[float, float, float, float]:
    """The box round the points x1 y1 x2 y2 ..., as yolov5's val.py takes it."""
    xs, ys = values[::2], values[1::2]
    for value in xs:
        _check(where, "x", value)
    for value in ys:
        _check(where, "y", value)
    box = min(xs), min(ys), max(xs), max(ys)
    if box[2] <= box[0] or box[3] <= box[1]:
        raise DataError(f"{where}: a polygon without area; remove the line")
    return box


def _check(where: str, name: str, value: float) -> None:
    if not -ROUNDING - _EPSILON <= value <= 1 + ROUNDING + _EPSILON:  # NaN too
        wrong = "is negative" if value < 0 else "is outside [0, 1]"
        raise DataError(
            f"{where}: {name} = {value!r} {wrong}; write fractions of the image's width and height"
        )
