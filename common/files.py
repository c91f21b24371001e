"""Reading and writing text files, with one-line errors for the user.

Only regular files are read (a pipe could block), of a limited size and in UTF-8. Writing replaces a
file atomically.
"""

import codecs
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from common.errors import DataError, cut, shown

MEGABYTE = 1 << 20
LARGEST = 1024 * MEGABYTE  # of a file that is read into memory at once
_XML_ENCODING = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})""")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # `Path` turns two slashes into one
ELSEWHERE = (
    "is an address, but paths are those of files and folders: download it or mount its bucket "
    "(docs/cluster.md); cameras are read by source.kind=live"
)
_DRAFT = re.compile(r"\..+\.\d+\.draft")  # name of the file and of the process, see write_text
_MULTI_BYTE = (
    "gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "cp949", "cp950", "cp932", "euc_kr",
    "johab", "shift_jis", "euc_jp", "iso2022_jp", "iso2022_kr",
)  # fmt: skip
_YAML_ERRORS = (  # its constructors raise any of these for a value that doesn't fit its tag
    yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


def expand(path: str | Path) -> Path:
    """The path with `~` as the home folder; unchanged where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def is_address(path: str | Path) -> bool:
    """Whether a path is the address of something elsewhere, such as `s3://bucket/folder`."""
    return bool(_ADDRESS.match(str(path)))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Convert an ``OSError`` of the block, which writes ``path``.

    Raises:
        DataError: The file cannot be written; the text names it and gives the system's reason.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror or error}); free disk space, or choose "
            "another folder"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        DataError: The file can't be written.
    """
    data = text.encode("utf-8", "backslashreplace")  # file names may contain invalid Unicode
    with writing(path):
        if path.exists() and not path.is_file():
            path.write_bytes(data)  # a pipe or a device can't be replaced
            return
        target = path.resolve() if path.is_symlink() else path
        draft = target.with_name(f".{target.name[:100]}.{os.getpid()}.draft")
        try:
            draft.write_bytes(data)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Remove what writers that were killed left in a folder and below it.

    Raises:
        DataError: A file can't be removed.
    """
    with writing(folder):
        for path in folder.rglob(".*.draft"):
            if _DRAFT.fullmatch(path.name):
                path.unlink(missing_ok=True)


def write_json(path: Path, content: object, indent: int | None = None) -> None:
    """Write plain values as JSON, atomically.

    Raises:
        DataError: The file cannot be written.
        ValueError: A number is NaN or infinite, which JSON cannot represent.
    """
    write_text(path, json.dumps(content, indent=indent, allow_nan=False) + "\n")


def check_file(path: Path, most: int = LARGEST) -> None:
    """Check that a path is a regular file (no pipe, device or folder) and not too large.

    Args:
        path: The file.
        most: Its maximal number of bytes.

    Raises:
        DataError: It isn't, or doesn't exist.
    """
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise DataError(f"{path}: does not exist; give the path of a file") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise DataError(f"{path}: cannot be read: it is {what}; give a regular file")
    if status.st_size > most:
        raise DataError(
            f"{path}: has {status.st_size / MEGABYTE:.0f} MB, over the limit of "
            f"{most / MEGABYTE:g} MB for such a file; make it smaller"
        )


def read_text(path: Path, most: int = LARGEST) -> str:
    """The text of a regular file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: ``check_file`` raises it, or the file is not UTF-8.
    """
    check_file(path, most)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: cannot be read as text (byte {error.start}: {error.reason}); save it as UTF-8"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def load_json(path: Path, most: int = LARGEST) -> object:
    """Parse a JSON file.

    Raises:
        DataError: It is missing, too large or malformed; the text names the line.
    """
    try:
        data: object = json.loads(read_text(path, most))
        return data
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not JSON ({error.msg}); repair the file or write it again"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error


def decode_xml(data: bytes) -> bytes | str:
    """Decode an XML file if expat doesn't support its encoding; else return the bytes.

    Raises:
        LookupError: Python doesn't support it either.
        ValueError: The bytes are invalid in the declared encoding.
    """
    declared = _XML_ENCODING.match(data)
    if declared is None:
        return data
    name = codecs.lookup(declared[1].decode("ascii")).name
    return data.decode(name) if name in _MULTI_BYTE else data


def parse_yaml(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> object:
    """The value of a YAML text.

    Raises:
        ValueError: It is no YAML, or a value doesn't fit its tag; the text is short and masked.
    """
    try:
        value: object = yaml.load(text, loader)  # noqa: S506  (a subclass of the safe one)
        return value
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{cut(error.problem or str(error.context))}") from error
    except yaml.reader.ReaderError as error:
        raise ValueError(f"an invalid character at position {error.position}") from error
    except _YAML_ERRORS as error:
        reason = shown(str(error)) if str(error) else "no detail"
        raise ValueError(f"a value that doesn't fit its tag ({reason})") from error


def load_yaml(path: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> object:
    """Parse a YAML file of up to 1 MB.

    Raises:
        DataError: It is missing, too large or malformed; the text names the line.
    """
    text = read_text(path, MEGABYTE)
    try:
        return parse_yaml(text, loader)
    except ValueError as error:
        raise DataError(f"{path}: not YAML ({error}); repair the file") from error
