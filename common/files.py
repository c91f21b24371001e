"""Writing files: what the system refuses becomes one line for the user."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import DataError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A block that writes a file.

    Raises:
        DataError: It could not; the text names the file and says what the system says.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); make room there, or choose "
            "another folder"
        ) from error


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write plain values as JSON.

    Raises:
        DataError: The file can't be written.
        ValueError: A number is NaN or infinite, which JSON doesn't have.
    """
    with writing(path):
        path.write_text(json.dumps(content, indent=indent, allow_nan=False) + "\n", "utf-8")
