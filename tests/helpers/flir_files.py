"""Writes FLIR radiometric JPEGs: segments APP1 that hold an FFF file with its records."""

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

R1, B, F, OFFSET, R2 = 21106.77, 1501.0, 1.0, -7340, 0.012545258  # Planck constants of a camera
_SEGMENT = 65000  # bytes of the FFF file in a segment


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """A JPEG of HWC RGB uint8."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return file.getvalue()


def flir_jpeg(
    raw: NDArray[np.uint16], visible: NDArray[np.uint8] | None, *, png: bool = False
) -> bytes:
    """A file with raw values HW uint16 and a visible image HWC RGB uint8, if any.

    Emissivity and transmissions are 1.
    """
    records = {1: _pixels(raw, _png(raw) if png else raw.astype("<u2").tobytes()), 32: _camera()}
    if visible is not None:
        records[14] = _pixels(visible, jpeg(visible))
    records[42] = struct.pack("<f6h", 1.5, 3, -2, 0, 9, 0, 7)
    fff = _fff(records)
    parts = [fff[i : i + _SEGMENT] for i in range(0, len(fff), _SEGMENT)]
    segments = b"".join(
        b"\xff\xe1"
        + struct.pack(">H", len(part) + 10)
        + b"FLIR\0\x01"
        + bytes((number, len(parts) - 1))
        + part
        for number, part in enumerate(parts)
    )
    screen = jpeg(np.full((*raw.shape, 3), (200, 40, 90), np.uint8))
    return screen[:2] + segments + screen[2:]


def _pixels(image: NDArray[np.generic], data: bytes) -> bytes:
    height, width = image.shape[:2]
    return struct.pack("<HHH", 2, width, height).ljust(32, b"\0") + data


def _png(raw: NDArray[np.uint16]) -> bytes:
    """A PNG in the byte order that FLIR writes, the wrong one."""
    file = io.BytesIO()
    Image.fromarray(raw.byteswap()).save(file, "PNG")
    return file.getvalue()


def _camera() -> bytes:
    info = bytearray(900)
    # emissivity, distance, reflected, atmospheric and window temperature (K), transmission
    struct.pack_into("<6f", info, 32, 1.0, 0.0, 293.15, 293.15, 293.15, 1.0)
    struct.pack_into("<f", info, 60, 0.5)  # relative humidity
    struct.pack_into("<3f", info, 88, R1, B, F)
    # alpha 1 and 2, beta 1 and 2, X of the atmosphere
    struct.pack_into("<5f", info, 112, 0.006569, 0.01262, -0.002276, -0.00667, 1.9)
    struct.pack_into("<if", info, 776, OFFSET, R2)
    return bytes(info)


def _fff(records: dict[int, bytes]) -> bytes:
    """The header of 64 bytes, the directory, and the records; two entries are spare."""
    count = len(records) + 2
    header = b"FFF\0" + b"irvis".ljust(16, b"\0") + struct.pack(">4I", 100, 64, count, 2)
    offset, directory, body = 64 + 32 * count, b"", b""
    for kind, data in records.items():
        subtype = 1
        entry = struct.pack(">2H4I", kind, subtype, 100, 1, offset + len(body), len(data))
        directory += entry.ljust(32, b"\0")
        body += data
    return header.ljust(64, b"\0") + directory.ljust(32 * count, b"\0") + body
