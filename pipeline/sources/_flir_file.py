"""Temperatures and the visible image of a FLIR radiometric JPEG, by flyr."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from common.files import check_file
from pipeline.frames import Image
from pipeline.images import decode_image

_RECORD_HEADER = 32  # bytes before the pixels of a record with an image


def is_radiometric(path: Path) -> bool:
    """Whether a JPEG has a segment APP1 with FLIR's data; False if it can't be read."""
    try:
        with path.open("rb") as file:
            if file.read(2) != b"\xff\xd8":
                return False
            while True:
                head = file.read(4)
                length = int.from_bytes(head[2:], "big")
                if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA or length < 2:
                    return False  # the pixels begin: no segment of metadata is left
                if head[1] == 0xE1 and length >= 7 and file.read(5) == b"FLIR\0":
                    return True
                file.seek(length - 2 - (5 if head[1] == 0xE1 and length >= 7 else 0), 1)
    except OSError:
        return False


def temperatures(path: Path) -> NDArray[np.float32]:
    """Temperatures HW in degrees Celsius; NaN where the raw value has none.

    Raises:
        DataError: It can't be read, or has no radiometric data.
    """
    from flyr import unpack

    data = _read(path)
    try:
        with np.errstate(all="ignore"):
            return np.asarray(unpack(io.BytesIO(data)).celsius, np.float32)
    except MemoryError:
        raise
    except Exception as error:  # flyr raises any type for damaged files
        raise _damaged(path, error) from error


def visible(path: Path) -> Image:
    """The visible image, HW or HWC RGB uint8.

    Raises:
        DataError: It can't be read, or has no radiometric data or no visible image.
    """
    from flyr.records import RecordIndex, extract_flir_app1, parse_flir_records

    data = _read(path)
    try:
        stream = extract_flir_app1(io.BytesIO(data))
        record = parse_flir_records(stream).get(RecordIndex.EMBEDDED_IMAGE.value)
        if record is not None:
            stream.seek(record[2] + _RECORD_HEADER)
            embedded = stream.read(record[3])
    except MemoryError:
        raise
    except Exception as error:  # likewise
        raise _damaged(path, error) from error
    if record is None:
        raise DataError(
            f"{path}: has no visible image in it; let the camera store one, or give visible images "
            "of your own with source.kind=image_folder"
        )
    return decode_image(embedded, f"{path}, its visible image")


def _read(path: Path) -> bytes:
    if not path.exists():
        raise DataError(f"{path}: no such image")
    check_file(path)
    if not is_radiometric(path):
        raise DataError(
            f"{path}: is no FLIR radiometric JPEG (no FLIR data in it); programs that edit or send "
            "images remove it: copy the file from the camera"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror})") from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: damaged or truncated FLIR data ({type(error).__name__}: {error}); copy the file "
        "from the camera once more"
    )
