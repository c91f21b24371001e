"""What is a bag by its name and first bytes. Needs no rosbags."""

from pathlib import Path

from common.errors import DataError, shown

METADATA = "metadata.yaml"  # of a ROS 2 folder
# by suffix: how such a file begins, and what mends one whose recording was cut off
KINDS = {
    ".bag": (b"#ROSBAG V2.0\n", "`rosbag reindex`"),
    ".mcap": (b"\x89MCAP0\r\n", "`mcap recover`"),
    ".db3": (b"SQLite format 3\0", "`sqlite3 FILE .recover`"),
    "": (b"", "`ros2 bag reindex`"),  # a folder
}


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
