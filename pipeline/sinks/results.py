"""The numbers: predictions, ground truth, `results.json` and `results.csv`.

While the run works, one line a pair is appended to `frames.jsonl`. At the end the predictions and
the ground truth are written from it as COCO files and scored as they were written, so that a second
tool that reads them finds the same numbers. Detections in ignore regions, which count neither way,
are left out of the files: COCO's own rule for them is another one.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from errors import ConfigError
from eval.bootstrap import STATISTICS
from eval.class_names import COCO_NAMES
from eval.coco import detections_json, ground_truth_json
from eval.coco_files import GroundTruth, ImageEntry
from eval.comparison import judge, warnings
from eval.evaluation import ArmResult, content_hash, curves_json, evaluate_arm, table_rows
from eval.fingerprint import fingerprint
from eval.labels import Labels
from eval.matching import drop_ignored
from eval.quality.summary import correlations, means
from pipeline.frames import Result
from pipeline.interfaces import RunContext, Summary
from pipeline.run_folder import FRAMES

SCHEMA = 1
COLUMNS = (
    "arm", "class", "images", "labels", *STATISTICS, "coco_map50", "coco_map50_95",
    *(f"{name}_{end}" for name in STATISTICS for end in ("low", "high")),
)  # fmt: skip


class Config(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def build(config: Config, context: RunContext, name: str) -> "ResultsSink":
    """The sink; it needs no settings and writes to fixed names in the run folder."""
    return ResultsSink(context, name)


class ResultsSink:
    """Logs detections as they come and scores them at the end; see ``interfaces.Sink``."""

    def __init__(self, context: RunContext, name: str) -> None:
        self._context = context
        self._path = context.folder / FRAMES
        kept = 0
        if self._path.exists():  # a run that broke off wrote it, maybe past its last whole batch
            kept = _keep_lines(self._path, context.done)
        if kept < context.done:
            raise ConfigError(
                f"sinks.{name}: was not there for the first {context.done} pairs of this run; "
                f"leave it out with sinks.{name}=null, or start a new run"
            )
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, result: Result) -> None:
        """Append one pair's labels and detections."""
        height, width = result.item.size
        labels = result.item.labels or Labels.empty()
        line = {
            "key": result.item.pair.key,
            "size": [height, width],
            "light": result.item.light,
            "xyxy": labels.xyxy.tolist(),
            "class_id": labels.class_id.tolist(),
            "ignore": labels.ignore.tolist(),
            "detections": {
                arm: detections_json(result.number + 1, drop_ignored(found, labels))
                for arm, found in result.detections.items()
            },
            "quality": {
                arm: {name: value if math.isfinite(value) else None for name, value in row.items()}
                for arm, row in result.quality.items()
            },
        }
        self._file.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Bring the lines to disk."""
        self._file.flush()

    def finish(self, summary: Summary) -> None:
        """Write the COCO files, score each arm, write the results."""
        self._file.close()
        folder, arms = self._context.folder, self._context.arms
        ground_truth, quality = self._unpack()
        _write_json(folder / "ground_truth.json", ground_truth)
        scored = self._score(ground_truth)
        protocol = self._protocol(ground_truth)
        parts, comparisons, attribution = judge(scored, self._context.baselines)
        results = {
            "schema": SCHEMA,
            "protocol": protocol,
            "arms": {
                arm: {"detection": parts.get(arm), "quality": means(quality.get(arm))}
                for arm in arms
            },
            "comparisons": comparisons,
            "attribution": attribution,
            "quality_correlation": correlations(quality, scored, self._context.baselines),
            "frames": dict(summary.frames),
            "objects": {"scored": summary.objects, "labelled": summary.labelled_objects},
            "leaked": {name: list(keys) for name, keys in summary.leaked.items() if keys},
            "warnings": self._warnings(summary, scored),
        }
        _write_json(folder / "results.json", results, indent=1)
        if scored:
            marked = {"fingerprint": protocol["fingerprint"], **curves_json(scored)}
            _write_json(folder / "curves.json", marked)
        if quality:
            _write_csv(folder / "quality.csv", pd.concat(quality, names=["arm"]).reset_index())
        rows = [r for arm in scored for r in table_rows(arm, scored[arm], parts[arm]["ci95"])]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        _write_csv(folder / "results.csv", table.assign(fingerprint=protocol["fingerprint"]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _unpack(self) -> tuple[GroundTruth, dict[str, pd.DataFrame]]:
        """One pass over the log: every arm's predictions go to their file as they come.

        Returns:
            The ground truth; and the quality by arm, one row a pair and one column a metric, NaN
            where it isn't defined.
        """
        names = self._names()
        images: list[ImageEntry] = []
        labels: list[Labels] = []
        rows: dict[str, list[dict[str, float]]] = {}
        with ExitStack() as stack:
            arms = self._context.arms if self._context.detector is not None else ()
            files = {arm: stack.enter_context(_JsonList(self._predictions(arm))) for arm in arms}
            for number, line in enumerate(self._lines(), 1):
                images.append(_image(number, line))
                labels.append(_labels(line))
                for arm, found in line["detections"].items():
                    files[arm].extend(entry for entry in found if entry["category_id"] in names)
                for arm, row in line["quality"].items():
                    rows.setdefault(arm, []).append(row)
        index = pd.Index([image["key"] for image in images], name="key")
        quality = {arm: pd.DataFrame(mine, index, dtype=float) for arm, mine in rows.items()}
        return ground_truth_json(images, labels, names), quality

    def _score(self, ground_truth: GroundTruth) -> dict[str, ArmResult]:
        """Every arm from its file; nothing where there are no labels or no detections."""
        context = self._context
        if context.detector is None or not context.labelled:
            return {}
        return {
            arm: evaluate_arm(
                ground_truth,
                json.loads(self._predictions(arm).read_text(encoding="utf-8")),
                context.classes,
            )
            for arm in context.arms
        }

    def _predictions(self, arm: str) -> Path:
        return self._context.folder / "predictions" / f"{arm}.json"

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def _names(self) -> dict[int, str]:
        """The classes that count, name by id."""
        detector, classes = self._context.detector, self._context.classes
        names = COCO_NAMES if detector is None else detector.names
        return {i: name for i, name in names.items() if classes is None or i in classes}

    def _warnings(self, summary: Summary, scored: Mapping[str, ArmResult]) -> list[str]:
        """What a reader of the numbers must know first."""
        leaks = [
            f"{name} was trained on {len(keys)} of these {summary.frames['paired']} pairs "
            f"({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}): its numbers say nothing "
            "about new images"
            for name, keys in summary.leaked.items()
            if keys
        ]
        found = warnings(scored)
        if scored and self._context.frame_rate is not None:
            found.append(
                "the frames of a recording resemble one another: 95% intervals are too narrow"
            )
        return leaks + found

    def _protocol(self, ground_truth: GroundTruth) -> dict[str, Any]:
        """Everything that the numbers depend on."""
        detector = self._context.detector
        sizes = sorted({(image["height"], image["width"]) for image in ground_truth["images"]})
        protocol = {
            **self._context.protocol,
            "detector": None
            if detector is None
            else {**detector.fingerprint, "input_shapes": [detector.input_shape(s) for s in sizes]},
            "images": len(ground_truth["images"]),
            "ground_truth_sha256": content_hash(ground_truth),
        }
        return {**protocol, "fingerprint": fingerprint(protocol)}


class _JsonList:
    """A JSON file with a list, one entry a line, written while the entries come."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._separator = "["

    def extend(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Append entries."""
        for entry in entries:
            self._file.write(self._separator + json.dumps(entry, allow_nan=False))
            self._separator = ",\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.write("[]\n" if self._separator == "[" else "]\n")
        self._file.close()


def _image(number: int, line: Mapping[str, Any]) -> ImageEntry:
    """A logged pair's entry in the ground truth."""
    key, (height, width) = line["key"], line["size"]
    entry: ImageEntry = {
        "id": number, "key": key, "file_name": f"{key}.png", "width": width, "height": height
    }  # fmt: skip
    if line["light"]:
        entry["light"] = line["light"]
    return entry


def _labels(line: Mapping[str, Any]) -> Labels:
    """A logged pair's labels."""
    return Labels(
        np.array(line["xyxy"], np.float64).reshape(-1, 4),
        np.array(line["class_id"], np.int64),
        np.array(line["ignore"], np.float64).reshape(-1, 4),
    )


def _write_json(path: Path, content: object, indent: int | None = None) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=indent, allow_nan=False) + "\n")


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    path.write_text(table.to_csv(index=False), encoding="utf-8")


def _keep_lines(path: Path, count: int) -> int:
    """Cut a file after so many lines: what a broken-off run wrote past its last whole batch.

    Returns:
        How many there are now; fewer if it didn't have so many.
    """
    kept = 0
    with path.open("rb+") as file:
        while kept < count and file.readline().endswith(b"\n"):
            kept += 1
        file.truncate()
        os.fsync(file.fileno())
    return kept
