"""Files that systems leave in folders of data."""

from pathlib import Path

_NAMES = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


def is_system_file(path: Path) -> bool:
    """Whether a file is none of the user's: hidden ones (`._x`, `.DS_Store`), `Thumbs.db`."""
    return path.name.startswith(".") or path.name.lower() in _NAMES
