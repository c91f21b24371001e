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

from common.errors import DataError, cut, shown
from pipeline.sources._bag_image import ImageMessage

METADATA = "metadata.yaml"  # of a ROS 2 folder
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
# by suffix: how such a file begins, and what mends one whose recording was cut off
KINDS = {
    ".bag": (b"#ROSBAG V2.0\n", "`rosbag reindex`"),
    ".mcap": (b"\x89MCAP0\r\n", "`mcap recover`"),
    ".db3": (b"SQLite format 3\0", "`sqlite3 FILE .recover`"),
    "": (b"", "`ros2 bag reindex`"),  # a folder
}


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


def check_kind(path: Path) -> None:
    """Check that a path looks like a bag, by its name and first bytes.

    Raises:
        DataError: It doesn't, or it is empty.
    """
    if path.is_dir():
        if not (path / METADATA).is_file():
            raise DataError(
                f"{path}: has no {METADATA}, so it is no ROS 2 bag; name the .bag, .mcap or .db3 "
                "file in it, or write that file by `ros2 bag reindex`"
            )
        return
    if not path.is_file():
        raise DataError(f"{path}: no such bag")
    suffix = path.suffix
    if suffix not in KINDS or not suffix:
        raise DataError(f"{path}: no bag; name a .bag, .mcap or .db3 file, or a ROS 2 bag's folder")
    try:
        with path.open("rb") as file:
            begin = file.read(64)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    magic = KINDS[suffix][0]
    if not begin:
        raise DataError(f"{path}: is empty; record it again, or copy it again")
    if not begin.startswith(magic):
        what = "a bag of version 2.0" if suffix == ".bag" else f"a {suffix} file"
        raise DataError(
            f"{path}: is not {what}: it begins with {shown(begin[:16])}, not {shown(magic)}"
        )
    if suffix == ".mcap":
        _check_profile(path, begin)


def is_bag(path: Path) -> bool:
    """Whether a path is a bag by its name, or a folder that has a bag's metadata."""
    if path.is_dir():
        return (path / METADATA).is_file()
    return path.suffix in KINDS and path.suffix != ""


@cache
def get_store(version: int) -> Typestore:
    """The message types of ROS 1 or 2; those of images are the same in all distributions."""
    return get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)


def _check_profile(path: Path, begin: bytes) -> None:
    """Check that the header of an MCAP file names ROS 2.

    Magic 8 bytes, opcode 1, length 8, then the profile: length 4 and text.
    """
    length = int.from_bytes(begin[17:21], "little")
    profile = begin[21 : 21 + length]
    if profile != b"ros2":
        raise DataError(
            f"{path}: messages of profile {shown(profile.decode(errors='replace'))}, where ros2 is "
            "read; convert it, such as a ROS 1 bag by `rosbags-convert`"
        )


def _topic(connections: Sequence[Connection]) -> Topic:
    types = {connection.msgtype.rpartition("/")[2] for connection in connections}
    return Topic(
        connections[0].topic, " and ".join(sorted(types)), sum(c.msgcount for c in connections)
    )


def _text(error: Exception) -> str:
    text = str(error).strip()
    return cut(text, 200).rstrip(".") if text else type(error).__name__
