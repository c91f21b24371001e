"""Writing files, with errors of the operating system turned into ``DataError``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import DataError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` of the block, which writes ``path``, into a ``DataError``.

    Raises:
        DataError: The file cannot be written; the text names it and gives the system's reason.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); free disk space, or choose "
            "another folder"
        ) from error


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write plain values as JSON.

    Raises:
        DataError: The file cannot be written.
        ValueError: A number is NaN or infinite, which JSON cannot represent.
    """
    with writing(path):
        path.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n", "utf-8")
