"""The shards of a run in its partial folder: the plan, and a folder for each that is done.

A worker writes into a folder of its own and renames it to that of the shard, as one step, when all
of its files are written and `done.json` names them with their sha256. So a shard is done or not,
however often it is tried and whoever dies.
"""

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from common.checksums import sha256
from common.errors import ConfigError, DataError
from common.files import MEGABYTE, load_json, write_json, writing
from pipeline.shard import Shard

PLAN = "shards.json"
SHARDS = "shards"
DONE = "done.json"
PROGRESS = "progress.json"  # in the folder of a try: pairs that it has computed
_DIGITS = re.compile(r"\d{6,}")
_Plan = TypeAdapter(list[Shard])


def write_plan(folder: Path, shards: Sequence[Shard]) -> None:
    """Write the plan of a new run, or compare it with that of the interrupted one.

    Raises:
        ConfigError: The source has changed since the run began.
        DataError: It can't be written.
    """
    path = folder / PLAN
    if path.is_file() and read_plan(folder) != list(shards):
        raise ConfigError("run.resume: the source has changed since the run began; start a new run")
    with writing(folder / SHARDS):
        (folder / SHARDS).mkdir(exist_ok=True)
    write_json(path, [asdict(shard) for shard in shards])


def read_plan(folder: Path) -> list[Shard] | None:
    """The plan of a run; None if it has none that can be read."""
    try:
        return _Plan.validate_python(load_json(folder / PLAN))
    except (DataError, ValidationError):
        return None


def shard_path(folder: Path, number: int) -> Path:
    """The folder of a shard that is done."""
    return folder / SHARDS / f"{number:06d}"


def try_path(folder: Path, number: int, name: str) -> Path:
    """The folder of a try of a shard; ``name`` tells it from others'."""
    return folder / SHARDS / f"{number:06d}.{name}"


def remove_tries(folder: Path, number: int | None = None) -> None:
    """Remove what unfinished tries left, of one shard or of all."""
    pattern = "*.*" if number is None else f"{number:06d}.*"
    for path in (folder / SHARDS).glob(pattern):
        shutil.rmtree(path, ignore_errors=True)  # a worker that is cut off may still write to it


def remove_shard(path: Path) -> None:
    """Remove what is left of a shard that isn't whole."""
    shutil.rmtree(path, ignore_errors=True)


def finish(path: Path, final: Path, about: dict[str, Any]) -> None:
    """Make the folder of a try that of the shard; if another try was first, its folder stays.

    Args:
        path: The folder of the try, with all files.
        final: That of the shard.
        about: What `done.json` tells besides the sha256 of the files.

    Raises:
        DataError: It can't be written.
    """
    (path / PROGRESS).unlink(missing_ok=True)
    hashes = {name: sha256(path / name) for name in _files(path)}
    write_json(path / DONE, {**about, "files": hashes})
    with writing(final):
        try:
            path.rename(final)
        except OSError:
            if not (final / DONE).is_file():
                raise
            shutil.rmtree(path, ignore_errors=True)


def leave_out(folder: Path, number: int, reason: str) -> None:
    """Finish a shard without pairs: a resumed run, which has pairs after it, never tries it again.

    Raises:
        DataError: It can't be written.
    """
    path = try_path(folder, number, "left_out")
    with writing(path):
        path.mkdir(exist_ok=True)
    finish(path, shard_path(folder, number), {"pairs": 0, "left_out": reason})


def read_done(path: Path) -> dict[str, Any] | None:
    """What `done.json` of a shard tells, if it and all files that it names are whole.

    Images, which are removed once they are used, aren't read.
    """
    about = _load(path / DONE)
    if not isinstance(about, dict) or not isinstance(about.get("files"), dict):
        return None
    try:
        whole = all(sha256(path / name) == digest for name, digest in about["files"].items())
    except OSError:
        return None
    return about if whole else None


def done_numbers(folder: Path) -> list[int]:
    """The numbers of the shards that are done."""
    if not (folder / SHARDS).is_dir():
        return []
    names = (entry.name for entry in os.scandir(folder / SHARDS))
    return sorted(int(name) for name in names if _DIGITS.fullmatch(name))


def shard_pairs(folder: Path, number: int) -> int:
    """The pairs of a shard that is done."""
    about = _load(shard_path(folder, number) / DONE)
    return int(about["pairs"]) if isinstance(about, dict) and "pairs" in about else 0


def running_pairs(folder: Path) -> list[int]:
    """Pairs that each unfinished try has computed, by its own word."""
    return [try_pairs(path) for path in sorted((folder / SHARDS).glob("*.*"))]


def try_pairs(path: Path) -> int:
    """Pairs that a try has computed, by its own word."""
    pairs = _load(path / PROGRESS)
    return pairs if isinstance(pairs, int) else 0


def _load(path: Path) -> object:
    """A small file's content; None if there is none, or it is being written."""
    try:
        return load_json(path, MEGABYTE)
    except DataError:
        return None


def _files(path: Path) -> Iterable[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_file())
