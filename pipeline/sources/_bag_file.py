"""The image messages of a bag: ROS 1 `.bag`, ROS 2 folders, `.mcap` and `.db3`, by rosbags.

Everything is read as it is needed; only the bag's index is in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from common.errors import DataError, cut
from pipeline.sources._bag_image import ImageMessage
from pipeline.sources._bag_kinds import KINDS, check_kind

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with images.

    Attributes:
        name: Of the topic.
        type: `Image` or `CompressedImage`.
        count: Number of messages.
    """

    name: str
    type: str
    count: int

    def __str__(self) -> str:
        return f"{self.name} ({self.count} {self.type})"


@dataclass(frozen=True, slots=True)
class Message:
    """A message.

    Attributes:
        log_ns: When it was recorded, nanoseconds.
        content: The deserialized message; None if it is damaged.
        reason: Why it is damaged, else empty.
    """

    log_ns: int
    content: ImageMessage | None
    reason: str = ""


class BagFile:
    """A bag that is open for reading, by one thread at a time.

    Attributes:
        topics: The topics with images that have a message, by name.
        span_ns: Times of the first and the last message of the bag, as recorded; None if empty.
    """

    def __init__(self, path: Path) -> None:
        """Open the bag and read its index.

        Raises:
            DataError: It is missing, no bag, empty, without index, truncated or damaged.
        """
        self._path = path
        check_kind(path)
        one = path.suffix == ".bag"
        try:
            self._reader: Any = Reader1(path) if one else Reader2(path)
            self._reader.open()
        except Exception as error:  # a damaged index raises any type, also MemoryError
            raise self._unreadable(error) from error
        store = get_store(1 if one else 2)
        self._deserialize: Callable[[bytes, str], Any] = (
            store.deserialize_ros1 if one else store.deserialize_cdr
        )
        by_name: dict[str, list[Connection]] = {}
        for connection in self._reader.connections:
            if connection.msgtype in (RAW, COMPRESSED) and connection.msgcount:
                by_name.setdefault(connection.topic, []).append(connection)
        self._connections = by_name
        self.topics = {name: _topic(by_name[name]) for name in sorted(by_name)}
        first, last = self._reader.start_time, self._reader.end_time - 1
        self.span_ns: tuple[int, int] | None = (first, last) if first <= last else None

    def messages(self, topic: str) -> Iterator[Message]:
        """The messages of a topic, in the order of their log times.

        Raises:
            DataError: The rest of the bag can't be read.
        """
        read = self._reader.messages(self._connections[topic])
        while True:
            try:
                found = next(read, None)
            except Exception as error:  # as above
                raise self._unreadable(error) from error
            if found is None:
                return
            connection, time, data = found
            try:
                content = self._deserialize(data, connection.msgtype)
            except Exception as error:  # noqa: BLE001 -- damaged data raises any type
                yield Message(time, None, f"damaged message ({_text(error)})")
            else:
                yield Message(time, content)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _unreadable(self, error: Exception) -> DataError:
        hint = KINDS[self._path.suffix if self._path.is_file() else ""][1]
        return DataError(
            f"{self._path}: cannot be read ({_text(error)}); if its recording was cut off or it "
            f"has no index, {hint} mends it, else copy it again"
        )


@cache
def get_store(version: int) -> Typestore:
    """The message types of ROS 1 or 2; those of images are the same in all distributions."""
    return get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)


def _topic(connections: Sequence[Connection]) -> Topic:
    types = {connection.msgtype.rpartition("/")[2] for connection in connections}
    return Topic(
        connections[0].topic, " and ".join(sorted(types)), sum(c.msgcount for c in connections)
    )


def _text(error: Exception) -> str:
    text = str(error).strip()
    return cut(text, 200).rstrip(".") if text else type(error).__name__
