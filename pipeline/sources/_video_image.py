"""Converts decoded video frames to images, upright and in full bit depth."""

import logging
from typing import Literal

import av
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
    """Convert a decoded frame, rotated by the file's display matrix.

    Returns:
        "rgb24": HWC uint8. "gray": HW uint8, or uint16 of frames with 10 to 16 bit, scaled to 16,
        from grey or from three equal channels.

    Raises:
        DataError: Infrared with over 8 bit is in colour, the rotation is no multiple of 90 degrees,
            or FFmpeg can't convert the pixels.
    """
    if pixel_format == "rgb24":
        image = _pixels(frame, "rgb24")
    elif max(c.bits for c in frame.format.components) <= 8:
        image = _pixels(frame, "gray")
    elif frame.format.is_rgb:
        image = _one_channel(_pixels(frame, "rgb48le"))
    else:
        image = _pixels(frame, "gray16le")
    return upright(image, display_matrix(frame))


def thumbnail(frame: VideoFrame) -> Image:
    """A small copy in colour, HWC uint8.

    Raises:
        DataError: FFmpeg can't convert the pixels.
    """
    return _pixels(frame, "rgb24", _THUMB)


def _pixels(
    frame: VideoFrame, name: str, size: tuple[int | None, int | None] = (None, None)
) -> Image:
    """The frame in a pixel format of FFmpeg, of a width and height if given.

    A frame without pixels is not lost like a damaged one: the cause may be too little memory for
    FFmpeg's threads, and the next run would give other results.
    """
    try:
        return np.asarray(frame.to_ndarray(format=name, width=size[0], height=size[1]))
    except av.FFmpegError as error:
        raise DataError(
            f"a frame of {frame.width}x{frame.height} in {frame.format.name} cannot be converted "
            f"({error.strerror}); free memory, or convert the recording"
        ) from error


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """The frame's display matrix: a, b, c, d of x' = a x + c y, y' = b x + d y.

    In fixed point, 1 is 65536; None without a matrix.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return None
    values = np.frombuffer(bytes(data), np.int32)
    return int(values[0]), int(values[1]), int(values[3]), int(values[4])


def upright(image: Image, matrix: tuple[int, int, int, int] | None) -> Image:
    """Rotate and mirror an image, HW or HWC, by a display matrix.

    Raises:
        DataError: The rotation is no multiple of 90 degrees.
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
            f"the file rotates its frames by no multiple of 90 degrees (display matrix {a:g} {b:g} "
            f"{c:g} {d:g}); rotate them with ffmpeg first"
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
