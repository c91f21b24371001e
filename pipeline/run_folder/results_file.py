"""Reading and validating a run's `results.json`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

from jinja2 import UndefinedError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.errors import DataError, cut, shown
from common.files import load_json
from common.modality import Modality
from pipeline.run_folder.names import PARTIAL_SUFFIX, RESULTS, TIMING

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
    network: str | None = None  # a user's own detector may state other things
    head: str | None = None
    weights_sha256: str | None = None
    conf: float | None = None
    iou: float | None = None


class _Protocol(_Part):
    fingerprint: str
    images: int
    ground_truth_sha256: str
    own_labels: dict[Modality, str] = {}
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


class _OwnLabels(_Objects):
    arms: list[str]
    notes: list[str]


class _Results(_Part):
    """The parts that all readers need; the others are checked where they are read."""

    protocol: _Protocol
    arms: dict[str, _Arm]
    comparisons: dict[str, Any]
    attribution: dict[str, Any]
    frames: _Frames
    objects: _Objects
    own_labels: dict[Modality, _OwnLabels] = {}
    warnings: list[str]

    @model_validator(mode="after")
    def _all_arms(self) -> Self:
        for arm, others in self.comparisons.items():
            if not isinstance(others, dict) or not {arm, *others} <= self.arms.keys():
                raise ValueError(f"the comparisons of {shown(arm)} are none of these arms")
        if self.own_labels.keys() != self.protocol.own_labels.keys():
            raise ValueError("own_labels are of other cameras than those of the protocol")
        return self


class _Busy(_Part):
    busy_s: float


class _Timing(_Part):
    """Of ``timing.json``."""

    wall_s: Annotated[float, Field(gt=0)]
    stages: Annotated[dict[str, _Busy], Field(min_length=1)]
    parts: dict[str, _Busy]
    arms_ms_per_pair: dict[str, dict[str, float]]


def read_timing(folder: Path) -> Any:  # noqa: ANN401  (JSON)
    """The contents of a run's ``timing.json``, None if there is none.

    Raises:
        DataError: It can't be read.
    """
    path = folder / TIMING
    if not path.is_file():
        return None
    timing = load_json(path)
    check_shape(_Timing, timing, path)
    return timing


def check_shape(model: type[BaseModel], content: object, path: Path) -> None:
    """Check the keys and types of a file's content.

    Raises:
        DataError: One is wrong; the text names the first.
    """
    try:
        model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = cut(".".join(map(str, first["loc"])))
        wrong = first["msg"].partition(" or instance of")[0]  # without the name of our class
        what = f"has no {where}" if first["type"] == "missing" else f"{where}: {wrong}".lstrip(": ")
        raise unlike(path, what) from error


def read_results(folder: Path, *, by_its_run: bool = False) -> dict[str, Any]:
    """Read ``results.json`` of a complete run folder.

    Args:
        folder: The run folder.
        by_its_run: Whether the run itself reads it, before its folder is complete.

    Raises:
        DataError: It is not a complete run folder, or its results are of another version of irvis
            or invalid.
    """
    unfinished = (
        folder
        if folder.resolve().name.endswith(PARTIAL_SUFFIX)
        else Path(f"{folder}{PARTIAL_SUFFIX}")
    )
    if not by_its_run and unfinished.is_dir() and (unfinished == folder or not folder.exists()):
        raise DataError(f"{unfinished}: the run isn't finished; continue it with run.resume=true")
    path = folder / RESULTS
    if not path.is_file():
        raise DataError(
            f"{folder}: is no run folder: it has no {RESULTS}; give a folder that irvis run "
            "made, with a sink of kind results"
        )
    results = load_json(path)
    if not isinstance(results, dict) or results.get("schema") != SCHEMA:
        raise DataError(f'{path}: lacks "schema": {SCHEMA}; run it again with this irvis')
    check_shape(_Results, results, path)
    return results


def unlike(path: Path, what: str) -> DataError:
    """The error for a file that was not written by this version of irvis."""
    return DataError(f"{path}: {what}; it was edited, or is of another irvis: run it again")


@contextmanager
def legible(path: Path) -> Iterator[None]:
    """Convert the errors of a block that reads a file's content.

    Raises:
        DataError: A value is missing or has a wrong type; the text names it.
    """
    try:
        yield
    except KeyError as error:
        raise unlike(path, f"has no {cut(str(error.args[0]))}") from error
    except UndefinedError as error:  # of the page's template
        raise unlike(path, f"lacks a value that the page shows ({error.message})") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        reason = cut(str(error), 200)
        raise unlike(path, f"has a wrong value ({reason})") from error
