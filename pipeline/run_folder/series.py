"""The folder of several runs that belong together, as of a sweep: each has its folder in it."""

from collections.abc import Collection
from pathlib import Path

from common.errors import ConfigError
from pipeline.config.sections import RunConfig
from pipeline.run_folder.folder import RUNS, latest, make, partial_of
from pipeline.run_folder.names import CONFIG, PARTIAL_SUFFIX


def open_series(run: RunConfig, name: str, what: str) -> Path:
    """Make a new folder, numbered like run folders, or find the one to be resumed.

    Args:
        run: ``run.dir`` names the folder itself; ``run.resume`` asks for the last one.
        name: Of the folder, without ``run.dir``.
        what: What the runs are together, for messages, e.g. "sweep".

    Raises:
        ConfigError: ``run.dir`` is in use, or there is none to be resumed.
    """
    return _find(run, name, what) if run.resume else _reserve(run, name, what)


def check_planned(folder: Path, planned: Collection[str], what: str) -> None:
    """Check that all earlier runs in a folder are planned again; there may be more.

    Raises:
        ConfigError: One is not.
    """
    made = {path.name.removesuffix(PARTIAL_SUFFIX) for path in folder.iterdir() if path.is_dir()}
    if others := sorted(made.difference(planned)):
        raise ConfigError(
            f"run.resume: {folder} has {others[0]} too; repeat all its values or start a new {what}"
        )


def begun(final: Path) -> list[Path]:
    """The folder of a run that has begun, complete or partial; empty if it hasn't."""
    return [path for path in (final, partial_of(final)) if (path / CONFIG).is_file()]


def _reserve(run: RunConfig, name: str, what: str) -> Path:
    if run.dir is not None:
        if run.dir.exists() and (not run.dir.is_dir() or any(run.dir.iterdir())):
            raise ConfigError(
                f"run.dir: {run.dir} is in use; name a new or empty folder, or go on with the "
                f"{what} in it with run.resume=true"
            )
        make(run.dir)  # it may be there, empty
        return run.dir
    number, folder = 1, RUNS / name
    while not make(folder):
        number += 1
        folder = RUNS / f"{name}-{number}"
    return folder


def _find(run: RunConfig, name: str, what: str) -> Path:
    if run.dir is not None:
        folder = run.dir
        if not folder.is_dir() or (folder / CONFIG).exists():  # nothing, or a single run
            raise ConfigError(f"run.resume: there is no {what} in {folder}")
        return folder
    last = latest(name)
    if last is None or (last / CONFIG).exists():
        raise ConfigError(f"run.resume: there is no {what} {RUNS / name}")
    return last
