"""What the sinks share that log a run for other programs: its numbers, each under one name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.files import load_json, read_text
from eval.average_precision import STATISTICS
from pipeline.interfaces import RunContext
from pipeline.run_folder.folder import CONFIG, SUFFIX


@dataclass(frozen=True, slots=True)
class Record:
    """What a run has written by the time it is published.

    Attributes:
        results: The contents of ``results.json``.
        timing: The contents of ``timing.json``.
        configuration: The text of ``config.yaml``, in which addresses show no password.
    """

    results: Mapping[str, Any]
    timing: Mapping[str, Any]
    configuration: str

    @property
    def fingerprint(self) -> str:
        """Of the protocol: numbers of runs that share it were measured alike."""
        return str(self.results["protocol"]["fingerprint"])


def read_record(folder: Path, sink: str) -> Record:
    """Read what the other sinks and the runner wrote.

    Raises:
        ConfigError: The run has no sink of kind results.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise ConfigError(f"sinks.{sink}: logs the results; add sinks.results.kind=results")
    results: Any = load_json(path)
    timing: Any = load_json(folder / "timing.json")
    return Record(results, timing, read_text(folder / CONFIG))


def numbers(record: Record) -> dict[str, float]:
    """A run's numbers by name; those that aren't defined are left out.

    Detection scores are YOLO's, and COCO's AP as ``coco_map50`` and ``coco_map50_95``, as in
    ``results.csv``. No name is the beginning of another's path: a store can keep each as a file.
    """
    found: dict[str, float | None] = {}
    for arm, part in record.results["arms"].items():
        if part["detection"] is not None:
            yolo, coco = part["detection"]["yolo"], part["detection"]["coco"]
            found |= {f"detection/{arm}/{name}": yolo[name] for name in STATISTICS}
            for name in ("map50", "map50_95"):
                found[f"detection/{arm}/coco_{name}"] = coco[name]
        found |= {f"quality/{arm}/{name}": mean for name, mean in part["quality"].items()}
    for group in ("frames", "objects"):
        found |= {f"{group}/{name}": count for name, count in record.results[group].items()}
    for arm, stages in record.timing["arms_ms_per_pair"].items():
        found |= {f"ms_per_pair/{arm}/{stage}": value for stage, value in stages.items()}
    for stage, times in record.timing["stages"].items():
        found[f"busy_s/{stage}"] = times["busy_s"]
    found["wall_s"] = record.timing["wall_s"]
    return {name: float(value) for name, value in found.items() if value is not None}


def check_outside(path: Path, context: RunContext, key: str) -> None:
    """Refuse a folder in the run folder under its final name, which must not be there yet.

    Raises:
        ConfigError: It is there; the text names the key.
    """
    final = final_folder(context)
    if path.resolve().is_relative_to(final.resolve()):
        raise ConfigError(f"{key}: {path} is the run's own; name a folder apart from the runs")


def final_folder(context: RunContext) -> Path:
    """The run folder, once it is whole."""
    return context.folder.with_name(context.folder.name.removesuffix(SUFFIX))
