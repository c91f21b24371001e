"""Times of frames from a CSV file, for recordings whose own times are wrong or missing.

The first line names the columns: `time_ns`, whole nanoseconds, or `time_s`, seconds with a decimal
point; and `frame`, counted from 0, for a video, or `name`, a file name, for a folder of images. All
frames are listed, in order, and times never decrease. Other columns are ignored.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from common.errors import DataError, shown
from common.files import check_file

SECOND = 1_000_000_000  # in nanoseconds
_LARGEST = 2**63  # nanoseconds, 292 years: the range of int64
_NUMBER = {
    "time_ns": re.compile(r"-?[0-9]{1,19}"),
    "time_s": re.compile(r"-?[0-9]{1,12}(\.[0-9]*)?"),
}


def video_times(path: Path) -> list[int]:
    """Nanoseconds by frame index.

    Raises:
        DataError: The file can't be read, or a line of it is wrong.
    """
    times: list[int] = []
    for line, frame, time in _rows(path, "frame"):
        if frame != str(len(times)):
            raise DataError(
                f"{path}, line {line}: frame {shown(frame)} where {len(times)} follows; list every "
                "frame once, in order, from 0"
            )
        times.append(time)
    return times


def image_times(path: Path) -> dict[str, int]:
    """Nanoseconds by file name, in the order of the lines.

    Raises:
        DataError: The file can't be read, or a line of it is wrong.
    """
    times: dict[str, int] = {}
    for line, name, time in _rows(path, "name"):
        if name in times:
            raise DataError(f"{path}, line {line}: {shown(name)} was listed before; list it once")
        times[name] = time
    return times


def _rows(path: Path, what: str) -> Iterator[tuple[int, str, int]]:
    """Line number, the column ``what``, and the time in nanoseconds."""
    if path.exists():
        check_file(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            yield from _read(((reader.line_num, row) for row in reader), path, what)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file of times") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV file that can be read ({error})") from error


def _read(
    rows: Iterator[tuple[int, list[str]]], path: Path, what: str
) -> Iterator[tuple[int, str, int]]:
    header = [column.strip() for column in next(rows, (1, []))[1]]
    unit = next((unit for unit in _NUMBER if unit in header), None)
    if unit is None or what not in header:
        raise DataError(
            f"{path}, line 1: needs the columns {what} and time_ns or time_s, has "
            f"{', '.join(header) or 'none'}"
        )
    before, empty = -_LARGEST, True
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        cells = dict(zip(header, map(str.strip, row), strict=False))
        time = _nanoseconds(cells.get(unit, ""), unit, path, line)
        if time < before:
            raise DataError(
                f"{path}, line {line}: {unit} {cells[unit]} is before the line above; "
                "times must not go back"
            )
        before, empty = time, False
        yield line, cells.get(what, ""), time
    if empty:
        raise DataError(f"{path}: lists no frames")


def _nanoseconds(text: str, unit: str, path: Path, line: int) -> int:
    time = _LARGEST
    if _NUMBER[unit].fullmatch(text):
        time = int(text) if unit == "time_ns" else round(Decimal(text) * SECOND)
    if abs(time) >= _LARGEST:
        wanted = "whole nanoseconds" if unit == "time_ns" else "seconds like 12.345"
        raise DataError(f"{path}, line {line}: {unit} must be {wanted}, not {shown(text)}")
    return time


def typical_rate(times: Sequence[int]) -> Fraction | None:
    """The frame rate of increasing times in nanoseconds; None for fewer than two.

    The inverse mean of the steps between 0.5 and 1.5 times the median, which excludes pauses and
    missing or duplicate frames, and averages out rounding.
    """
    steps = sorted(b - a for a, b in pairwise(times) if b > a)
    if not steps:
        return None
    median = steps[len(steps) // 2]
    usual = [step for step in steps if median / 2 < step < 1.5 * median]
    return Fraction(len(usual) * SECOND, sum(usual)).limit_denominator(1001)
