"""The numbers: predictions, ground truth, `results.json` and `results.csv`.

While the run works, one line a pair is appended to `frames.jsonl`. At the end the predictions and
the ground truth are written from it as COCO files and scored as they were written, so that a second
tool that reads them finds the same numbers. Detections in ignore regions, which count neither way,
are left out of the files: COCO's own rule for them is another one.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

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
    return ResultsSink(context)


class ResultsSink:
    """Logs detections as they come and scores them at the end; see ``interfaces.Sink``."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._path = context.folder / FRAMES
        if self._path.exists():  # a run that broke off wrote it, maybe past its last whole batch
            _keep_lines(self._path, context.done)
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
        context = self._context
        ground_truth = self._ground_truth()
        _write_json(context.folder / "ground_truth.json", ground_truth)
        counted = {entry["id"] for entry in ground_truth["categories"]}
        scored: dict[str, ArmResult] = {}
        if context.detector is not None:
            (context.folder / "predictions").mkdir(exist_ok=True)
            for arm in context.arms:
                predictions = [
                    entry
                    for line in self._lines()
                    for entry in line["detections"][arm]
                    if entry["category_id"] in counted
                ]
                _write_json(context.folder / "predictions" / f"{arm}.json", predictions)
                if context.labelled:
                    scored[arm] = evaluate_arm(ground_truth, predictions, context.classes)
        parts, comparisons, attribution = judge(scored, context.baselines)
        quality = self._quality()
        results = {
            "schema": SCHEMA,
            "protocol": self._protocol(ground_truth),
            "arms": {
                arm: {"detection": parts.get(arm), "quality": means(quality.get(arm))}
                for arm in context.arms
            },
            "comparisons": comparisons,
            "attribution": attribution,
            "quality_correlation": correlations(quality, scored, context.baselines),
            "frames": dict(summary.frames),
            "objects": {"scored": summary.objects, "labelled": summary.labelled_objects},
            "leaked": {name: list(keys) for name, keys in summary.leaked.items() if keys},
            "warnings": self._warnings(summary, scored),
        }
        _write_json(context.folder / "results.json", results, indent=1)
        if scored:
            _write_json(context.folder / "curves.json", curves_json(scored))
        if quality:
            every = pd.concat(quality, names=["arm"])
            (context.folder / "quality.csv").write_text(every.to_csv(), encoding="utf-8")
        rows = [r for arm in scored for r in table_rows(arm, scored[arm], parts[arm]["ci95"])]
        table = pd.DataFrame(rows, columns=list(COLUMNS))
        (context.folder / "results.csv").write_text(table.to_csv(index=False), encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def _ground_truth(self) -> GroundTruth:
        images, labels = [], []
        for number, line in enumerate(self._lines(), 1):
            images.append(_image(number, line))
            labels.append(_labels(line))
        detector, classes = self._context.detector, self._context.classes
        names = COCO_NAMES if detector is None else detector.names
        kept = {i: name for i, name in names.items() if classes is None or i in classes}
        return ground_truth_json(images, labels, kept)

    def _quality(self) -> dict[str, pd.DataFrame]:
        """By arm: one row a pair, by key; one column a metric, NaN where it isn't defined."""
        rows: dict[str, list[dict[str, float]]] = {}
        keys = []
        for line in self._lines():
            keys.append(line["key"])
            for arm, row in line["quality"].items():
                rows.setdefault(arm, []).append(row)
        index = pd.Index(keys, name="key")
        return {arm: pd.DataFrame(mine, index, dtype=float) for arm, mine in rows.items()}

    def _warnings(self, summary: Summary, scored: Mapping[str, ArmResult]) -> list[str]:
        """What a reader of the numbers must know first."""
        leaks = [
            f"{name} was trained on {len(keys)} of these {summary.frames['paired']} pairs "
            f"({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}): its numbers say nothing "
            "about new images"
            for name, keys in summary.leaked.items()
            if keys
        ]
        if not scored:
            return leaks
        if not any(result.yolo.labels for result in scored.values()):
            return [*leaks, "no object of the classes that count is labelled: no score is defined"]
        alike = ["the frames of a recording resemble one another: the 95% intervals are too narrow"]
        if self._context.frame_rate is None:
            alike = warnings(summary.frames["paired"])
        return leaks + alike

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
        json.dump(content, file, indent=indent, allow_nan=False)
        file.write("\n")


def _keep_lines(path: Path, count: int) -> None:
    """Cut a file after so many lines: what a broken-off run wrote past its last whole batch."""
    with path.open("rb+") as file:
        for _ in range(count):
            file.readline()
        file.truncate()
        os.fsync(file.fileno())
