"""Reading and validating a run's `results.json`."""

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
    """The parts that all readers need; others are checked by those that use them."""

    protocol: _Protocol
    arms: dict[str, _Arm]
    comparisons: dict[str, Any]
    attribution: dict[str, Any]
    frames: _Frames
    objects: _Objects
    warnings: list[str]


def read_results(folder: Path, *, by_its_run: bool = False) -> dict[str, Any]:
    """Read ``results.json`` of a complete run folder.

    Args:
        folder: The run folder.
        by_its_run: Whether the run itself reads it, before its folder is complete.

    Raises:
        DataError: It is not a complete run folder, or its results are of another version of irvis
            or invalid.
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
    """The error for a file that was not written by this version of irvis."""
    return DataError(f"{path}: {what}; it was edited, or is of an earlier irvis: run it again")


@contextmanager
def legible(path: Path) -> Iterator[None]:
    """Turn errors of a block that reads a file's content into ``DataError``.

    Raises:
        DataError: A value is missing or has a wrong type; the text names it.
    """
    try:
        yield
    except KeyError as error:
        raise unlike(path, f"has no {error.args[0]}") from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise unlike(path, f"holds something else than irvis writes ({error})") from error
