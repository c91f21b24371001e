"""KAIST's bbGt txt: `% bbGt version=3`, then `class left top width height ...` in pixels.

Persons count. Groups ("people"), doubtful ones ("person?", "person-fa") and cyclists are regions
that count neither way, as in the set's own protocol; so is every object whose ignore flag, the
eleventh number, is set.
"""

from pathlib import Path

from common.errors import DataError
from common.numbers import decimal
from eval.class_map import SourceClass
from eval.labelled_image import LabelledImage

HEADER = "% bbGt"
_FLAG = 10  # the field of the ignore flag, counted from the class
_NEITHER_WAY = frozenset(("people", "person?", "person-fa", "people?", "cyclist"))
_PERSON = "person"


def is_neither_way(name: str) -> bool:
    """Whether KAIST's protocol ignores objects of this class."""
    return name.strip().casefold() in _NEITHER_WAY


def read_kaist(path: Path, text: str) -> LabelledImage:
    """Labels in pixels.

    Raises:
        errors.DataError: A line is none of an object; the text names it.
    """
    objects = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if fields and not line.lstrip().startswith("%"):
            objects.append(_object(f"{path}:{number}", line, fields))
    return LabelledImage.of(objects, str(path))


def _object(
    where: str, line: str, fields: list[str]
) -> tuple[SourceClass, tuple[float, float, float, float], bool]:
    try:
        left, top, width, height = (decimal(field) for field in fields[1:5])
        flag = decimal(fields[_FLAG]) if len(fields) > _FLAG else 0.0
        sound = 0 < width < 1e6 and 0 < height < 1e6 and abs(left) < 1e6 and abs(top) < 1e6
    except ValueError:
        sound = False
    if not sound:
        raise DataError(
            f"{where}: {line.strip()[:80]!r} is no object; write 'class left top width height'"
        )
    ignore = is_neither_way(fields[0]) or flag != 0
    name = _PERSON if is_neither_way(fields[0]) else fields[0]
    return SourceClass(None, name), (left, top, left + width, top + height), ignore
