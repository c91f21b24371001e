"""KAIST's bbGt txt: `% bbGt version=3`, then `class left top width height ...` in pixels.

Persons count. Groups ("people"), doubtful ones ("person?", "person-fa") and cyclists are regions
that count neither way, as in the set's own protocol; so is every object whose ignore flag, the
eleventh number, is set. The fifth number after the class is the occlusion: 0 none, 1 partial, 2
heavy.
"""

from collections.abc import Sequence
from pathlib import Path

from common.errors import DataError
from common.numbers import decimal
from eval.class_map import SourceClass
from eval.labelled_image import LabelledImage

HEADER = "% bbGt"
_OCCLUSION = 5  # the field of the occlusion, counted from the class
_FLAG = 10  # the field of the ignore flag
_NEITHER_WAY = frozenset(("people", "person?", "person-fa", "people?", "cyclist"))
_PERSON = "person"
_HEIGHT = 55  # pixels, the least of the reasonable subset
_INSIDE = (5, 5, 635, 507)  # left, top, right, bottom of a 640x512 image


def is_neither_way(name: str) -> bool:
    """Whether KAIST's protocol ignores objects of this class."""
    return name.strip().casefold() in _NEITHER_WAY


def is_reasonable(box: Sequence[float], occlusion: float) -> bool:
    """Whether an object is of the subset that the field calls reasonable.

    At least 55 pixels tall, occluded partially at most, and 5 pixels inside the 640x512 image
    (Hwang et al., CVPR 2015, and the evaluation code of MLPD).

    Args:
        box: Left, top, right, bottom, in pixels.
        occlusion: 0 none, 1 partial, 2 heavy.
    """
    left, top, right, bottom = box
    inside = left >= _INSIDE[0] and top >= _INSIDE[1]
    inside = inside and right <= _INSIDE[2] and bottom <= _INSIDE[3]
    return inside and bottom - top >= _HEIGHT and occlusion in (0, 1)


def read_kaist(path: Path, text: str, *, reasonable: bool = False) -> LabelledImage:
    """Labels in pixels.

    Args:
        path: For messages.
        text: The file's content.
        reasonable: Whether objects beyond the reasonable subset become regions to ignore.

    Raises:
        errors.DataError: A line is none of an object; the text names it.
    """
    objects = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if fields and not line.lstrip().startswith("%"):
            objects.append(_object(f"{path}:{number}", line, fields, reasonable=reasonable))
    return LabelledImage.of(objects, str(path))


def _object(
    where: str, line: str, fields: list[str], *, reasonable: bool
) -> tuple[SourceClass, tuple[float, float, float, float], bool]:
    try:
        left, top, width, height = (decimal(field) for field in fields[1:5])
        flag = decimal(fields[_FLAG]) if len(fields) > _FLAG else 0.0
        occlusion = decimal(fields[_OCCLUSION]) if len(fields) > _OCCLUSION else 0.0
        sound = 0 < width < 1e6 and 0 < height < 1e6 and abs(left) < 1e6 and abs(top) < 1e6
    except ValueError:
        sound = False
    if not sound:
        raise DataError(
            f"{where}: {line.strip()[:80]!r} is no object; write 'class left top width height'"
        )
    box = (left, top, left + width, top + height)
    ignore = is_neither_way(fields[0]) or flag != 0
    ignore = ignore or (reasonable and not is_reasonable(box, occlusion))
    name = _PERSON if is_neither_way(fields[0]) else fields[0]
    return SourceClass(None, name), box, ignore
