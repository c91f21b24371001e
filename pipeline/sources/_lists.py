"""Lists of images in text files, and finding the images that they name."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from common.errors import DataError, shown
from common.files import read_text
from pipeline.images import SUFFIXES


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a list, split at commas, tabs or blanks; empty ones and comments are left out.

    Raises:
        DataError: The file can't be read, or a line of it.
    """
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            separator = next((mark for mark in (",", "\t", ";") if mark in line), None)
            try:
                cells = next(csv.reader([line], delimiter=separator)) if separator else line.split()
            except csv.Error as error:
                raise DataError(f"{path}, line {number}: not a line of a list ({error})") from error
            yield number, [normalize("NFC", cell.strip()) for cell in cells]


class Lookup:
    """Finds keys by what lists write: a name with or without its suffix and folders before it.

    What a list writes and a name may differ in length, but not contradict each other: `a/b/0.png`
    is the image `0` or `b/0`, and `0` is `b/0` where no other image has that end.
    """

    def __init__(self, names: Mapping[str, tuple[str, ...]]) -> None:
        """Prepare; ``names`` has each key's own names."""
        self._whole: dict[str, set[str]] = {}
        self._ends: dict[str, set[str]] = {}
        for key, called in names.items():
            for name in called:
                self._whole.setdefault(name, set()).add(key)
                for end in _ends(name):
                    self._ends.setdefault(end, set()).add(key)

    def one(self, text: str, where: str) -> str:
        """The key of a list's entry.

        Raises:
            DataError: It fits no image, or several; the text begins with ``where``.
        """
        path = "/".join(PurePosixPath(text.replace("\\", "/")).parts)
        suffix = PurePosixPath(path).suffix
        plain = path[: -len(suffix)] if suffix.lower() in SUFFIXES else path
        keys = self._ends.get(plain) or next(
            (self._whole[end] for end in _ends(plain) if end in self._whole), set()
        )
        if len(keys) > 1:
            raise DataError(f"{where}: {shown(text)} fits several images; write it with its folder")
        if not keys:
            raise DataError(f"{where}: there is no image {shown(text)}; correct or remove the line")
        return next(iter(keys))


def _ends(name: str) -> Iterator[str]:
    """A name, and it without its first folders, the longest first."""
    parts = name.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))
