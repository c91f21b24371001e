"""Lists of images in text files, and finding the images that they name."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from common.errors import DataError, shown
from common.files import load_json, read_text
from pipeline.images import SUFFIXES


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of a list, split at commas, tabs or blanks; skips comments.

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


def pair_map(path: Path) -> dict[str, str]:
    """The infrared image by the visible one, from a JSON object as FLIR ADAS v2 has it.

    Raises:
        DataError: The file can't be read, or is something else.
    """
    names = load_json(path)
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise DataError(f"{path}: expected an object, the infrared image by the visible one")
    return names


class Lookup:
    """Finds keys by names as lists write them, with or without suffix and parent folders.

    The entry and the name may differ in the number of folders: `a/b/0.png` finds the image `0` or
    `b/0`, and `0` finds `b/0` if no other image's name ends so.
    """

    def __init__(self, names: Mapping[str, tuple[str, ...]]) -> None:
        """Begin; ``names`` has the names of each key."""
        self._whole: dict[str, set[str]] = {}
        self._ends: dict[str, set[str]] = {}
        for key, key_names in names.items():
            for name in key_names:
                self._whole.setdefault(name, set()).add(key)
                for end in _ends(name):
                    self._ends.setdefault(end, set()).add(key)

    def one(self, text: str, where: str) -> str:
        """The key of a list's entry.

        Raises:
            DataError: It matches no image, or several; the text begins with ``where``.
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
    """A name with all, fewer and no folders, the longest first."""
    parts = name.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))
