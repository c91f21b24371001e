"""The run folder: `<name>.partial` during the run, `<name>` when it is complete."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from filelock import BaseFileLock, FileLock, Timeout

from common.errors import ConfigError, DataError
from common.files import (
    MEGABYTE,
    load_json,
    load_yaml,
    remove_drafts,
    write_json,
    write_text,
    writing,
)
from pipeline.config.sections import RunConfig
from pipeline.run_folder.names import (
    CONFIG,
    INPUTS,
    LOCK,
    PAIR_LOG,
    PARTIAL_SUFFIX,
    PROGRESS,
    SAID,
)
from pipeline.run_folder.shard_folder import PLAN, SHARDS, done_numbers
from pipeline.run_folder.state import done_pairs

RUNS = Path("runs")


class Work(Protocol):
    """The configuration of a run or a training."""

    @property
    def run(self) -> RunConfig:
        """The folder's name, and whether an unfinished one is continued."""
        ...

    def dump(self) -> dict[str, Any]:
        """The whole configuration as plain values."""
        ...


@dataclass(slots=True)
class RunFolder:
    """A run folder under construction.

    Attributes:
        path: The partial folder.
        final: The folder after ``complete``.
        done: Number of pairs finished by the interrupted run, a multiple of the batch size.
        resumed: Whether the folder is of an interrupted run.
    """

    path: Path
    final: Path
    lock: BaseFileLock
    done: int = 0
    resumed: bool = False

    def check_inputs(self, inputs: dict[str, Any]) -> None:
        """Record the identity of the inputs, or compare it with that of the interrupted run.

        Args:
            inputs: Identity of the content of weights etc., as plain values.

        Raises:
            ConfigError: An input has changed since the run began; the text names it.
            DataError: The record cannot be written.
        """
        path = self.path / INPUTS
        if not path.is_file():
            write_json(path, inputs)
        elif changed := _difference(load_json(path, MEGABYTE), inputs):
            raise ConfigError(
                f"run.resume: the file of {changed} has changed since the run began; restore it "
                "or start a new run"
            )

    def record(self, pairs: int) -> None:
        """Record that all sinks have written this number of pairs to disk.

        Raises:
            DataError: The record cannot be written.
        """
        path = self.path / PROGRESS
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(f"\n{pairs}\n")  # an interrupted run may have left an incomplete line

    def complete(self) -> None:
        """Remove the files of a partial folder, and give the folder its final name."""
        if os.path.lexists(self.final):
            self.final.rmdir()  # run.dir may exist, empty
        if (self.path / SHARDS).is_dir():
            shutil.rmtree(self.path / SHARDS)
        for name in (PROGRESS, LOCK, PAIR_LOG, INPUTS, SAID, PLAN):
            (self.path / name).unlink(missing_ok=True)
        self.path.rename(self.final)
        self.lock.release()

    def abandon(self) -> bool:
        """Remove the folder if this run made it and finished nothing; return whether it did."""
        self.lock.release()
        if self.resumed or (self.path / PROGRESS).exists() or done_numbers(self.path):
            return False
        shutil.rmtree(self.path)
        return True


def open_folder(config: Work) -> RunFolder:
    """Make the partial folder of a new run, or open that of the run to be resumed.

    Raises:
        ConfigError: `run.dir` is in use, or the run cannot be resumed.
        DataError: The folder cannot be made or written; then it is removed.
    """
    if config.run.resume:
        return _resume(config)
    final, partial = _reserve(config.run)
    lock = lock_folder(partial)
    try:
        _write_config(partial, config)
    except DataError:
        lock.release()
        shutil.rmtree(partial)
        raise
    return RunFolder(partial, final, lock)


def _write_config(folder: Path, config: Work) -> None:
    """Write the configuration, atomically, since a resume compares with it."""
    write_text(folder / CONFIG, yaml.safe_dump(config.dump(), sort_keys=False, allow_unicode=True))


def _reserve(run: RunConfig) -> tuple[Path, Path]:
    if run.dir is not None:
        partial = partial_of(run.dir)
        if run.dir.exists() and (not run.dir.is_dir() or any(run.dir.iterdir())):
            raise ConfigError(f"run.dir: {run.dir} is in use; name a new or empty folder")
        if not make(partial):
            raise ConfigError(
                f"run.dir: an unfinished run is in {partial}; continue it with run.resume=true or "
                "remove it"
            )
        return run.dir, partial
    number = 1
    while True:
        final = RUNS / (run.name if number == 1 else f"{run.name}-{number}")
        if not os.path.lexists(final) and make(partial_of(final)):
            return final, partial_of(final)
        number += 1


def make(folder: Path) -> bool:
    """Make a folder; return whether it is new. Two runs that start at once never get the same one.

    Raises:
        DataError: It can't be made.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        if os.path.lexists(folder):
            return False
        raise DataError(f"cannot make the run folder {folder}: {_obstacle(folder)}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"cannot make the run folder {folder} ({error})") from error
    return True


def _obstacle(path: Path) -> str:
    """Which parent of a path exists but is no folder."""
    for parent in path.parents:
        if parent.is_symlink() and not parent.exists():
            return (
                f"{parent} is a link to {parent.readlink()}, which doesn't exist; make it, or "
                "remove the link"
            )
        if parent.exists() and not parent.is_dir():
            return f"{parent} is no folder; rename it"
    return "another program changed it meanwhile; try again"


def _resume(config: Work) -> RunFolder:
    name = config.run.name
    partial = partial_of(config.run.dir) if config.run.dir else latest(name, PARTIAL_SUFFIX)
    if partial is None or not partial.is_dir():
        where = partial or RUNS / f"{name}{PARTIAL_SUFFIX}"
        raise ConfigError(f"run.resume: there is no unfinished run in {where}")
    if not (partial / CONFIG).is_file():
        raise ConfigError(
            f"run.resume: the run in {partial} never began; remove it and start a new run"
        )
    lock = lock_folder(partial)
    check_same(partial, config)
    remove_drafts(partial)
    final = partial.with_name(partial.name.removesuffix(PARTIAL_SUFFIX))
    return RunFolder(partial, final, lock, done_pairs(partial), resumed=True)


def check_same(folder: Path, config: Work) -> None:
    """Check that a folder was made with this configuration.

    The name may differ, and sinks may be left out or added, since they change no number. The
    settings of a sink in both must be equal.

    Raises:
        ConfigError: The configurations differ; the text names the first key that differs.
    """
    path = folder / CONFIG
    before, now = load_yaml(path), config.dump()
    if not isinstance(before, dict) or not isinstance(before.get("sinks", {}), dict | None):
        raise DataError(f"{path}: was changed; remove the folder and start a new run")
    for plain in (before, now):
        # who computes may change, not where batches end
        compute = plain.get("compute")
        if isinstance(compute, dict) and isinstance(compute.get("engine", {}), dict):
            compute["engine"] = {"shard": compute.get("engine", {}).get("shard")}
    old, new = (
        {**plain, "run": None, "sinks": plain.get("sinks") or {}} for plain in (before, now)
    )
    both = old["sinks"].keys() & new["sinks"].keys()
    for plain in (old, new):
        plain["sinks"] = {name: plain["sinks"][name] for name in sorted(both, key=str)}
    if changed := _difference(old, new):
        raise ConfigError(
            f"run.resume: {folder} was begun with another {changed}; repeat its settings "
            f"({folder / CONFIG}) or start a new run"
        )


def latest(name: str, suffix: str = "") -> Path | None:
    """The folder of this name with the highest number; None if there is none."""
    pattern = re.compile(rf"{re.escape(name)}(?:-(\d+))?{re.escape(suffix)}")
    folders = [
        (int(match[1] or 1), folder)
        for folder in (RUNS.iterdir() if RUNS.is_dir() else ())
        if (match := pattern.fullmatch(folder.name))
    ]
    return max(folders)[1] if folders else None


def lock_folder(partial: Path) -> BaseFileLock:
    """Lock the folder for this process; the system releases the lock when the process ends.

    Raises:
        ConfigError: Another process works in it.
    """
    lock = FileLock(partial / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(f"run.resume: the run in {partial} is still going on") from error
    return lock


def partial_of(final: Path) -> Path:
    """The partial folder of a run folder."""
    return final.with_name(final.name + PARTIAL_SUFFIX)


def _difference(before: Any, now: Any, key: str = "") -> str | None:  # noqa: ANN401  (YAML values)
    """Dotted key of the first different value, None if there is none."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in [*before, *now]:
            where = f"{key}.{name}".lstrip(".")
            if differing := _difference(before.get(name), now.get(name), where):
                return differing
        return None
    return None if before == now else key
