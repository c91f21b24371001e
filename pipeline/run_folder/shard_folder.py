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
from common.errors import ConfigError
from common.files import load_json, write_json, writing
from pipeline.frames import Shard

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
    except ValidationError:
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


def read_done(path: Path) -> dict[str, Any] | None:
    """What `done.json` of a shard tells, if it and all files that it names are whole.

    Images, which are removed once they are used, aren't read.
    """
    try:
        about: Any = load_json(path / DONE)
        files: dict[str, str] = about["files"]
        whole = all(sha256(path / name) == digest for name, digest in files.items())
    except Exception:  # noqa: BLE001 -- whatever is wrong with it, the shard is done again
        return None
    return about if whole else None


def done_numbers(folder: Path) -> list[int]:
    """The numbers of the shards that are done."""
    if not (folder / SHARDS).is_dir():
        return []
    names = (entry.name for entry in os.scandir(folder / SHARDS))
    return sorted(int(name) for name in names if _DIGITS.fullmatch(name))


def _files(path: Path) -> Iterable[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_file())
