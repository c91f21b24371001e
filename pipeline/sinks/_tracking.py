"""Shared by the sinks that log a run to experiment trackers: its numbers, each under one name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.files import load_json, read_text
from eval.average_precision import STATISTICS
from pipeline.interfaces import RunContext
from pipeline.run_folder.names import CONFIG, PARTIAL_SUFFIX, RESULTS, TIMING


@dataclass(frozen=True, slots=True)
class Record:
    """The files of a run that a tracker logs.

    Attributes:
        results: The contents of ``results.json``.
        timing: The contents of ``timing.json``.
        configuration: The text of ``config.yaml``; passwords in addresses are masked.
    """

    results: Mapping[str, Any]
    timing: Mapping[str, Any]
    configuration: str

    @property
    def fingerprint(self) -> str:
        """Of the protocol: numbers with the same fingerprint are comparable."""
        return str(self.results["protocol"]["fingerprint"])


def read_record(folder: Path, sink: str) -> Record:
    """Read results, timing and configuration of a run.

    Raises:
        ConfigError: The run has no sink of kind results.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise ConfigError(f"sinks.{sink}: logs the results; add sinks.results.kind=results")
    results: Any = load_json(path)
    timing: Any = load_json(folder / TIMING)
    return Record(results, timing, read_text(folder / CONFIG))


def numbers(record: Record) -> dict[str, float]:
    """A run's numbers by name; undefined ones are left out.

    Detection scores are YOLO's, and COCO's AP as ``coco_map50`` and ``coco_map50_95``, as in
    ``results.csv``. No name is a parent path of another, so a store can keep each as a file.
    """
    values: dict[str, float | None] = {}
    for arm, part in record.results["arms"].items():
        if part["detection"] is not None:
            yolo, coco = part["detection"]["yolo"], part["detection"]["coco"]
            values |= {f"detection/{arm}/{name}": yolo[name] for name in STATISTICS}
            for name in ("map50", "map50_95"):
                values[f"detection/{arm}/coco_{name}"] = coco[name]
        values |= {f"quality/{arm}/{name}": mean for name, mean in part["quality"].items()}
    for group in ("frames", "objects"):
        values |= {f"{group}/{name}": count for name, count in record.results[group].items()}
    for arm, stages in record.timing["arms_ms_per_pair"].items():
        values |= {f"ms_per_pair/{arm}/{stage}": value for stage, value in stages.items()}
    for stage, times in record.timing["stages"].items():
        values[f"busy_s/{stage}"] = times["busy_s"]
    values["wall_s"] = record.timing["wall_s"]
    return {name: float(value) for name, value in values.items() if value is not None}


def check_outside(path: Path, context: RunContext, key: str) -> None:
    """Refuse a folder inside the final run folder, which must not exist before the run completes.

    Raises:
        ConfigError: It is inside; the text names the key.
    """
    final = final_folder(context)
    if path.resolve().is_relative_to(final.resolve()):
        raise ConfigError(f"{key}: {path} is the run's own; name a folder apart from the runs")


def final_folder(context: RunContext) -> Path:
    """The run folder under its final name."""
    return context.folder.with_name(context.folder.name.removesuffix(PARTIAL_SUFFIX))
