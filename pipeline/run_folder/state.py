"""How far a run has come that isn't finished."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from common.errors import DataError
from common.files import MEGABYTE, load_json, write_json
from pipeline.run_folder.names import LOCK, PARTIAL_SUFFIX, PROGRESS, WORKERS
from pipeline.run_folder.shard_folder import (
    done_numbers,
    read_plan,
    running_pairs,
    shard_pairs,
)


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers of a run that goes on.

    Attributes:
        ready: How many have started.
        wanted: How many there are to be.
        failures: Tries of shards that failed, and workers that died while they started.
    """

    ready: int
    wanted: int
    failures: int

    def __str__(self) -> str:
        return f"{self.ready} of {self.wanted} workers, failures: {self.failures}"


_Crew = TypeAdapter(Crew)


def write_crew(partial: Path, crew: Crew) -> None:
    """Write what ``state`` tells of a run's workers.

    Raises:
        DataError: It can't be written.
    """
    write_json(partial / WORKERS, asdict(crew))


def state(folder: Path) -> str | None:
    """One line about a run, by its folder or its partial folder; None if it is finished.

    Only names and small files are read, and nothing is changed.
    """
    partial = folder
    if not folder.resolve().name.endswith(PARTIAL_SUFFIX):
        partial = Path(f"{folder}{PARTIAL_SUFFIX}")
    if not partial.is_dir() or (partial != folder and folder.exists()):
        return None
    pairs = done_pairs(partial)
    if not (partial / LOCK).exists():
        return f"{partial}: not begun"
    going = _locked(partial)
    verb = "is going on" if going else "was interrupted; run.resume=true continues it"
    if (plan := read_plan(partial)) is None:
        return f"{partial}: {verb}; {pairs} pairs are written"
    done = done_numbers(partial)
    computed = sum(shard_pairs(partial, number) for number in done)
    text = f"{len(done)} of {len(plan)} shards done ({computed} pairs)"
    if going:
        running = running_pairs(partial)
        text += f", {len(running)} in work ({sum(running)} pairs)"
        if (crew := _crew(partial)) is not None:
            text += f" by {crew}"
    return f"{partial}: {verb}; {text}, {pairs} pairs are written"


def _crew(partial: Path) -> Crew | None:
    """None before a run has started workers."""
    try:
        return _Crew.validate_python(load_json(partial / WORKERS, MEGABYTE))
    except (DataError, ValidationError):
        return None


def done_pairs(partial: Path) -> int:
    """The pairs that all sinks of an unfinished run have written to disk."""
    # the last complete line of the progress file
    path = partial / PROGRESS
    if not path.is_file():
        return 0
    # the last line may be half a line, and a disk that lost power leaves anything
    lines = path.read_bytes().split(b"\n")[:-1]
    whole = [line for line in lines if re.fullmatch(rb"[0-9]{1,18}", line)]
    return int(whole[-1]) if whole else 0


def _locked(partial: Path) -> bool:
    lock = FileLock(partial / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
