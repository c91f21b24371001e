"""Reading a run's `results.json` back, which an earlier irvis or an editor may have written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import DataError
from eval.coco_files import load_json
from pipeline.run_folder.folder import SUFFIX

NAME = "results.json"
SCHEMA = 1

_Interval = Annotated[list[float], Field(min_length=2, max_length=2)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Maps(_Part):
    map50: float | None
    map50_95: float | None


class _Scores(_Maps):
    precision: float | None
    recall: float | None
    labels: int


class _Intervals(_Part):
    precision: _Interval | None
    recall: _Interval | None
    map50: _Interval | None
    map50_95: _Interval | None


class _Detection(_Part):
    yolo: _Scores
    coco: _Maps
    ci95: _Intervals


class _Arm(_Part):
    detection: _Detection | None
    quality: dict[str, float | None]


class _Detector(_Part):
    network: str
    head: str
    weights_sha256: str
    conf: float
    iou: float


class _Protocol(_Part):
    fingerprint: str
    images: int
    ground_truth_sha256: str
    detector: _Detector | None
    arms: dict[str, Any]
    baselines: dict[str, str | None]
    perturb: dict[str, Any] | None
    compute: Any
    versions: Any


class _Frames(_Part):
    paired: int
    failed: int


class _Objects(_Part):
    scored: int
    labelled: int


class _Results(_Part):
    """What every reader needs; what only `irvis show` has tables of, it finds out itself."""

    protocol: _Protocol
    arms: dict[str, _Arm]
    comparisons: dict[str, Any]
    attribution: dict[str, Any]
    frames: _Frames
    objects: _Objects
    warnings: list[str]


def read_results(folder: Path, *, by_its_run: bool = False) -> dict[str, Any]:
    """The contents of a whole run folder's ``results.json``.

    Args:
        folder: The run folder.
        by_its_run: Whether it is the run itself that reads, before its folder is whole.

    Raises:
        DataError: It is no run folder, an unfinished one, one of another version of irvis, or
            something in it was changed so that it can't be read.
    """
    unfinished = folder if folder.resolve().name.endswith(SUFFIX) else Path(f"{folder}{SUFFIX}")
    if not by_its_run and unfinished.is_dir() and (unfinished == folder or not folder.exists()):
        raise DataError(f"{unfinished}: the run isn't finished; go on with it: run.resume=true")
    path = folder / NAME
    if not path.is_file():
        raise DataError(
            f"{folder}: is no run folder: it has no results.json; give a folder that irvis run "
            "made, with a sink of kind results"
        )
    results = load_json(path)
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise DataError(f'{path}: doesn\'t say "schema": {SCHEMA}; run it again with this irvis')
    try:
        _Results.model_validate(results)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        wrong = first["msg"].partition(" or instance of")[0]  # of a class here, which says nothing
        what = f"has no {where}" if first["type"] == "missing" else f"{where}: {wrong}"
        raise unlike(path, what) from error
    return results


def unlike(path: Path, what: str) -> DataError:
    """The error for a file that isn't as this irvis writes it."""
    return DataError(f"{path}: {what}; it was edited, or is of an earlier irvis: run it again")


@contextmanager
def legible(path: Path) -> Iterator[None]:
    """A block that reads what a file holds.

    Raises:
        DataError: Something isn't there, or something else is in its place; the text says which.
    """
    try:
        yield
    except KeyError as error:
        raise unlike(path, f"has no {error.args[0]}") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise unlike(path, f"holds something else than irvis writes ({error})") from error
