"""The numbers: predictions, ground truth, `results.json` and `results.csv`.

While the run works, one line a pair is appended to `frames.jsonl`. At the end the predictions and
the ground truth are written from it as COCO files and scored as they were written, so that a second
tool that reads them finds the same numbers. Detections in ignore regions, which count neither way,
are left out of the files: COCO's own rule for them is another one.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from eval.class_names import COCO_NAMES
from eval.coco import detections_json, ground_truth_json
from eval.coco_files import GroundTruth, Prediction
from eval.evaluation import ArmResult, content_hash, evaluate_arm, table_rows, to_json
from eval.labels import Labels
from eval.matching import drop_ignored
from pipeline.frames import Result
from pipeline.interfaces import RunContext, Summary
from pipeline.run_folder import FRAMES

SCHEMA = 1
COLUMNS = (
    "arm", "class", "images", "labels", "precision", "recall", "map50", "map50_95",
    "coco_map50", "coco_map50_95",
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
            "xyxy": labels.xyxy.tolist(),
            "class_id": labels.class_id.tolist(),
            "ignore": labels.ignore.tolist(),
            "detections": {
                arm: detections_json(result.number + 1, drop_ignored(found, labels))
                for arm, found in result.detections.items()
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
        scored: dict[str, ArmResult | None] = dict.fromkeys(context.arms)
        if context.detector is not None:
            (context.folder / "predictions").mkdir(exist_ok=True)
            for arm in context.arms:
                predictions = [p for line in self._lines() for p in line["detections"][arm]]
                _write_json(context.folder / "predictions" / f"{arm}.json", predictions)
                if context.labelled:
                    scored[arm] = self._score(ground_truth, predictions)
        results = results_json(self._protocol(ground_truth), scored, summary)
        _write_json(context.folder / "results.json", results, indent=1)
        rows = [row for arm, r in scored.items() if r is not None for row in table_rows(arm, r)]
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

    def _score(self, ground_truth: GroundTruth, predictions: list[Prediction]) -> ArmResult:
        return evaluate_arm(ground_truth, predictions, self._context.classes)

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)

    def _ground_truth(self) -> GroundTruth:
        images, labels = [], []
        for line in self._lines():
            images.append((line["key"], f"{line['key']}.png", *line["size"]))
            labels.append(_labels(line))
        detector, classes = self._context.detector, self._context.classes
        names = COCO_NAMES if detector is None else detector.names
        kept = {i: name for i, name in names.items() if classes is None or i in classes}
        return ground_truth_json(images, labels, kept)

    def _protocol(self, ground_truth: GroundTruth) -> dict[str, Any]:
        """Everything that the numbers depend on."""
        detector = self._context.detector
        sizes = sorted({(image["height"], image["width"]) for image in ground_truth["images"]})
        return {
            **self._context.protocol,
            "detector": None
            if detector is None
            else {**detector.fingerprint, "input_shapes": [detector.input_shape(s) for s in sizes]},
            "images": len(ground_truth["images"]),
            "ground_truth_sha256": content_hash(ground_truth),
        }


def results_json(
    protocol: Mapping[str, Any], scored: Mapping[str, ArmResult | None], summary: Summary
) -> dict[str, Any]:
    """The contents of `results.json`; ``detection`` is null for an arm without a score."""
    return {
        "schema": SCHEMA,
        "protocol": dict(protocol),
        "arms": {
            arm: {"detection": None if result is None else to_json(result), "quality": {}}
            for arm, result in scored.items()
        },
        "comparisons": {},
        "frames": dict(summary.frames),
        "objects": {"scored": summary.objects, "labelled": summary.labelled_objects},
    }


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
