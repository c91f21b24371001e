"""MCAP files of ROS 2 messages: images and `vision_msgs/Detection2DArray`."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mcap.reader import make_reader
from mcap.writer import CompressionType, Writer
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from common.files import writing
from pipeline.run_folder.sink_files import damaged

if TYPE_CHECKING:  # only then they are there
    from rosbags.typesys.store import Msg

IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
JPEG_QUALITY = 95
# vision_msgs 4, of Humble and later; rosbags doesn't bring it
_VISION_MSGS = {
    "Point2D": "float64 x\nfloat64 y",
    "Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis\n"
    "geometry_msgs/PoseWithCovariance pose",
    "Detection2D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox2D bbox\nstring id",
    "Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
}


@cache
def message_types() -> Typestore:
    """The message types of ROS 2, with those of vision_msgs."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    for name, text in _VISION_MSGS.items():
        store.register(get_types_from_msg(text, f"vision_msgs/msg/{name}"))
    return store


def header(time_ns: int) -> "Msg":
    """A `std_msgs/Header` of a time since 0, nanoseconds."""
    types = message_types().types
    stamp = types["builtin_interfaces/msg/Time"](*divmod(time_ns, 10**9))
    return types["std_msgs/msg/Header"](stamp, "")


def raw_image(time_ns: int, image: NDArray[np.uint8]) -> "Msg":
    """A `sensor_msgs/Image` of HWC RGB."""
    height, width = image.shape[:2]
    pixels = np.ascontiguousarray(image).ravel()
    kind = message_types().types[IMAGE]
    return kind(header(time_ns), height, width, "rgb8", 0, 3 * width, pixels)


def compressed_image(time_ns: int, image: NDArray[np.uint8], form: str) -> "Msg":
    """A `sensor_msgs/CompressedImage` of HWC RGB; ``form`` is `png` or `jpeg`."""
    how = {
        "png": [cv2.IMWRITE_PNG_COMPRESSION, 1],  # light: speed matters more here
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
    }[form]
    data = cv2.imencode(f".{form}", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), how)[1]
    return message_types().types[COMPRESSED](header(time_ns), form, data.ravel())


def detection_array(
    time_ns: int, boxes: NDArray[np.float32], scores: Sequence[float], classes: Sequence[str]
) -> "Msg":
    """A `vision_msgs/Detection2DArray`.

    Args:
        time_ns: Of its header.
        boxes: (n, 4), x1, y1, x2, y2 in pixels.
        scores: n.
        classes: n names.
    """
    types, head = message_types().types, header(time_ns)
    vision = {name: types[f"vision_msgs/msg/{name}"] for name in _VISION_MSGS}
    nowhere = types["geometry_msgs/msg/PoseWithCovariance"](
        types["geometry_msgs/msg/Pose"](
            types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0),
            types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        ),
        np.zeros(36),
    )
    found = []
    for (x1, y1, x2, y2), score, name in zip(boxes.tolist(), scores, classes, strict=True):
        centre = vision["Pose2D"](vision["Point2D"]((x1 + x2) / 2, (y1 + y2) / 2), 0.0)
        box = vision["BoundingBox2D"](centre, x2 - x1, y2 - y1)
        what = vision["ObjectHypothesisWithPose"](vision["ObjectHypothesis"](name, score), nowhere)
        found.append(vision["Detection2D"](head, [what], box, ""))
    return vision["Detection2DArray"](head, found)


class McapFile:
    """An MCAP file that is written message by message."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            DataError: It can't be written; so for the methods.
        """
        self._path = path
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        with writing(path):
            self._file = path.open("wb")
            # images are compressed or written fast, so the file isn't compressed once more
            self._writer = Writer(self._file, compression=CompressionType.NONE)
            self._writer.start(profile="ros2", library="irvis")

    def write(self, topic: str, kind: str, time_ns: int, message: "Msg") -> None:
        """Append a message of a type, such as `sensor_msgs/msg/Image`."""
        self.append(topic, kind, time_ns, bytes(message_types().serialize_cdr(message, kind)))

    def append(self, topic: str, kind: str, time_ns: int, data: bytes) -> None:
        """Append a serialized message."""
        with writing(self._path):
            if kind not in self._schemas:
                text = message_types().generate_msgdef(kind, ros_version=2)[0].encode()
                self._schemas[kind] = self._writer.register_schema(kind, "ros2msg", text)
            if topic not in self._channels:
                self._channels[topic] = self._writer.register_channel(
                    topic, "cdr", self._schemas[kind]
                )
            self._writer.add_message(self._channels[topic], time_ns, data, time_ns)

    def close(self) -> None:
        """Write the index and close the file."""
        with writing(self._path):
            try:
                self._writer.finish()
            finally:
                self._file.close()


def join(parts: Sequence[Path], path: Path) -> None:
    """Copy the messages of all parts into one file, in their order.

    Raises:
        DataError: It can't be written.
    """
    whole = McapFile(path)
    for part in parts:
        with part.open("rb") as file:
            messages = make_reader(file).iter_messages(log_time_order=False)
            for schema, channel, message in messages:
                if schema is not None:
                    whole.append(channel.topic, schema.name, message.log_time, message.data)
    whole.close()


def check(part: Path) -> None:
    """Read a part of an interrupted run.

    Raises:
        DataError: It can't be read.
    """
    try:
        with part.open("rb") as file:
            for _ in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False):
                pass
    except Exception as error:  # damaged files raise any type
        raise damaged(part, error) from error
