"""Images of ROS messages: `sensor_msgs/Image` and `sensor_msgs/CompressedImage`.

The encodings are those of ROS' `sensor_msgs/image_encodings.hpp` whose meaning is certain: `8UC3`
doesn't say in which order its channels are, so it isn't read.
"""

import sys
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from common.errors import DataError, shown
from pipeline.frames import Image
from pipeline.images import decode_image

GREY = {
    "mono8": np.uint8, "8UC1": np.uint8, "mono16": np.uint16, "16UC1": np.uint16,
    "32FC1": np.float32,
}  # fmt: skip
# channels, and OpenCV's conversion to RGB
COLOUR = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
}
KNOWN = (*GREY, *COLOUR)


class Stamp(Protocol):
    """A time of `builtin_interfaces`."""

    sec: int
    nanosec: int


class Header(Protocol):
    """Of `std_msgs`."""

    stamp: Stamp


class ImageMessage(Protocol):
    """An image, raw (`encoding`, `height`, `width`, `step`, `is_bigendian`) or compressed.

    rosbags makes the classes from the messages' definitions.
    """

    header: Header
    data: NDArray[np.uint8]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- a number or a text
        ...


def encoding_of(message: ImageMessage, name: object) -> str:
    """The encoding of an image message; of a compressed one, `compressed`.

    Raises:
        DataError: It is unknown, or depth that only `compressedDepth` reads.
    """
    if hasattr(message, "encoding"):
        if message.encoding not in KNOWN:
            raise DataError(
                f"{name}: encoding {shown(message.encoding)}, where {', '.join(KNOWN)} are read; "
                "record it as one of these, such as rgb8 or mono16"
            )
        return str(message.encoding)
    if "compressedDepth" in message.format:
        raise DataError(
            f"{name}: format {shown(message.format)}: depth of compressedDepth isn't read; record "
            "the topic of raw images, or of transport `compressed`"
        )
    return "compressed"


def to_image(message: ImageMessage, name: object) -> Image:
    """The image of a message; errors call it ``name``.

    Returns:
        HW uint8, HW uint16, HW float32, or HWC RGB uint8; may be a view of the message's data.

    Raises:
        DataError: The encoding is unknown, or the data is damaged.
    """
    encoding = encoding_of(message, name)
    if encoding == "compressed":
        return decode_image(bytes(message.data), name)
    if encoding in GREY:
        image = _rows(message, np.dtype(GREY[encoding]), 1, name)[:, :, 0]
        swapped = bool(message.is_bigendian) != (sys.byteorder == "big")
        return image.byteswap() if swapped and image.dtype.itemsize > 1 else image
    channels, conversion = COLOUR[encoding]
    image = _rows(message, np.dtype(np.uint8), channels, name)
    if channels == 1 and min(image.shape[:2]) < 3:
        raise DataError(f"{name}: {image.shape[1]}x{image.shape[0]} is too small for {encoding}")
    return image if conversion is None else np.asarray(cv2.cvtColor(image, conversion))


def _rows(message: ImageMessage, dtype: np.dtype[Any], channels: int, name: object) -> Image:
    """The pixels [H, W, channels] without the padding of rows, in the message's byte order.

    Raises:
        DataError: The data is shorter than its size says, or the rows than their width.
    """
    height, width, step = int(message.height), int(message.width), int(message.step)
    used = width * channels * dtype.itemsize
    size = f"{width}x{height} {message.encoding}"
    if not (height and width):
        raise DataError(f"{name}: an empty image ({size})")
    if step < used:
        raise DataError(f"{name}: rows of {step} bytes (field step), where {size} needs {used}")
    if message.data.size < height * step:
        raise DataError(
            f"{name}: {message.data.size} bytes of data, where {size} in rows of {step} bytes "
            f"needs {height * step}"
        )
    rows = message.data[: height * step].reshape(height, step)[:, :used]
    return np.ascontiguousarray(rows).view(dtype).reshape(height, width, channels)
