"""A folder with several runs: those of a sweep, or of a fine-tuning and its scores."""

from pathlib import Path

from common.errors import ConfigError
from pipeline.config.sections import RunConfig
from pipeline.run_folder.folder import RUNS, latest, make
from pipeline.run_folder.names import CONFIG


def reserve(run: RunConfig, name: str, what: str) -> Path:
    """Make a new folder, numbered like run folders.

    Args:
        run: Where it shall be.
        name: Of the folder in that of all runs, where ``run.dir`` doesn't name it.
        what: "sweep" or the like, for messages.

    Raises:
        ConfigError: `run.dir` is in use.
        DataError: The folder can't be made.
    """
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


def find(run: RunConfig, name: str, what: str, *, configured: bool) -> Path:
    """The folder that is to be resumed: the last one of this name.

    Args:
        run: As for ``reserve``.
        name: Likewise.
        what: Likewise.
        configured: Whether such folders have a ``config.yaml`` of their own; the folder of a single
            run is refused thereby.

    Raises:
        ConfigError: There is none.
    """
    if run.dir is not None:
        if not run.dir.is_dir() or (run.dir / CONFIG).exists() != configured:
            raise ConfigError(f"run.resume: there is no {what} in {run.dir}")
        return run.dir
    folder = latest(name)
    if folder is None or (folder / CONFIG).exists() != configured:
        raise ConfigError(f"run.resume: there is no {what} {RUNS / name}")
    return folder
