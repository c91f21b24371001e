"""Decoded video frames as images: as players show them, with all bits that the camera gave."""

import logging
from typing import Literal

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

from common.errors import DataError
from pipeline.frames import Image

log = logging.getLogger(__name__)
PixelFormat = Literal["gray", "rgb24"]
_ONE = 1 << 16  # of the display matrix's fixed point numbers
_THUMB = (64, 48)  # width, height


def to_image(frame: VideoFrame, pixel_format: PixelFormat) -> Image:
    """A decoded frame, turned as its file says.

    Returns:
        "rgb24": HWC uint8. "gray": HW uint8, or uint16 of frames with 10 to 16 bit, widened to 16,
        from grey or from three channels.

    Raises:
        DataError: Infrared with over 8 bit is in colour, or the file turns frames by no quarter.
    """
    if pixel_format == "rgb24":
        image = frame.to_ndarray(format="rgb24")
    elif max(c.bits for c in frame.format.components) <= 8:
        image = frame.to_ndarray(format="gray")
    elif frame.format.is_rgb:
        image = _one_channel(frame.to_ndarray(format="rgb48le"))
    else:
        image = frame.to_ndarray(format="gray16le")
    return upright(image, display_matrix(frame))


def thumbnail(frame: VideoFrame) -> Image:
    """A small copy in colour, HWC uint8."""
    return np.asarray(frame.to_ndarray(format="rgb24", width=_THUMB[0], height=_THUMB[1]))


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """How the frame is turned for display: a, b, c, d of x' = a x + c y, y' = b x + d y.

    In fixed point, 1 is 65536; None where it is shown as it is.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return None
    values = np.frombuffer(bytes(data), np.int32)
    return int(values[0]), int(values[1]), int(values[3]), int(values[4])


def upright(image: Image, matrix: tuple[int, int, int, int] | None) -> Image:
    """An image, HW or HWC, turned and mirrored by a display matrix.

    Raises:
        DataError: It turns by something else than quarters.
    """
    if matrix is None:
        return image
    a, b, c, d = (value / _ONE for value in matrix)
    if abs(a) + abs(d) < 0.01 * (abs(b) + abs(c)):
        image, down, right = image.swapaxes(0, 1), b, c
    elif abs(b) + abs(c) < 0.01 * (abs(a) + abs(d)):
        down, right = d, a
    else:
        raise DataError(
            f"the file turns its frames by no quarter (display matrix {a:g} {b:g} {c:g} {d:g}); "
            "turn them with ffmpeg first"
        )
    if down < 0:
        image = image[::-1]
    if right < 0:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _one_channel(image: Image) -> Image:
    """HW uint16 of HWC with equal channels.

    Raises:
        DataError: They differ.
    """
    if (image[:, :, 1:] != image[:, :, :1]).any():
        raise DataError("colour of over 8 bit is not supported as infrared; export it as grey")
    return np.ascontiguousarray(image[:, :, 0])
