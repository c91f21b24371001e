"""The numbers: predictions, ground truth, `results.json` and `results.csv`.

While the run works, one line a pair is appended to `frames.jsonl`. At the end the predictions and
the ground truth are written from it as COCO files and scored as they were written, so that a second
tool that reads them finds the same numbers. Detections in ignore regions, which count neither way,
are left out of the files: COCO's own rule for them is another one.
"""

import json
import math
from array import array
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from common.files import write_json, writing
from eval.average_precision import STATISTICS
from eval.class_names import COCO_NAMES
from eval.coco import detections_json
from eval.coco_files import ImageEntry
from eval.comparison import judge, warnings
from eval.evaluation import ArmResult, curves_json, evaluate_arm, table_rows
from eval.fingerprint import fingerprint
from eval.labels import Labels
from eval.matching import drop_ignored
from eval.quality.summary import correlations, means
from pipeline.frames import Misalignment, Result
from pipeline.interfaces import RunContext, Summary
from pipeline.run_folder.folder import FRAMES
from pipeline.run_folder.results_file import SCHEMA
from pipeline.run_folder.sink_files import Lines, read_lines
from pipeline.run_folder.summary import labels_json
from pipeline.sinks._alignment_file import AlignmentFile
from pipeline.sinks._coco_writer import GroundTruthFile, PredictionsFile

PAIRS = "pairs.csv"
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
        self._lines = Lines(self._path, name, context.done)

    def write(self, result: Result) -> None:
        """Append one pair's labels and detections."""
        height, width = result.item.size
        labels = result.item.labels
        if labels is None:
            labels = Labels.empty()
        line = {
            "key": result.item.pair.key,
            "size": [height, width],
            "light": result.item.light,
            "dead": result.item.dead,
            "shift": _plain(result.item.misalignment),
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
        self._lines.write(json.dumps(line))

    def flush(self) -> None:
        """Nothing is held back."""

    def finish(self, summary: Summary) -> None:
        """Write the COCO files, score each arm, write the results."""
        self._lines.close()
        folder, arms = self._context.folder, self._context.arms
        truth, apart, quality = self._unpack()
        scored = self._score()
        protocol = self._protocol(truth)
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
            "alignment": apart.summary(),
            "sync": summary.timing,
            "frames": dict(summary.frames),
            "objects": {"scored": summary.objects, "labelled": summary.labelled_objects},
            "labels": labels_json(summary),
            "leaked": {name: list(keys) for name, keys in summary.leaked.items() if keys},
            "warnings": [*apart.warnings(), *self._warnings(summary, scored)],
        }
        write_json(folder / "results.json", results, indent=1)
        if scored:
            marked = {"fingerprint": protocol["fingerprint"], **curves_json(scored)}
            write_json(folder / "curves.json", marked)
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
        self._lines.close()

    def _unpack(self) -> tuple[GroundTruthFile, AlignmentFile, dict[str, pd.DataFrame]]:
        """One pass over the log: ground truth and predictions go to their files as they come.

        Returns:
            What is known of the ground truth; how far the images are apart; and the quality by arm,
            one row a pair and one column a metric, NaN where it isn't defined.
        """
        names = self._names()
        keys: list[str] = []
        columns: dict[str, dict[str, array[float]]] = {}  # 8 bytes a value, by arm and metric
        arms = self._context.arms if self._context.detector is not None else ()
        with ExitStack() as stack:
            truth = stack.enter_context(GroundTruthFile(self._ground_truth, names))
            files = {a: stack.enter_context(PredictionsFile(self._predictions(a))) for a in arms}
            apart = stack.enter_context(AlignmentFile(self._context.folder / PAIRS))
            for number, line in enumerate(read_lines(self._path), 1):
                apart.add(line["key"], line["dead"], line["shift"])
                if line["dead"] and self._context.labelled:
                    continue  # no number counts what one camera alone shows
                truth.add(_image(number, line), _labels(line))
                for arm, found in line["detections"].items():
                    files[arm].extend(entry for entry in found if entry["category_id"] in names)
                if line["quality"]:
                    keys.append(line["key"])
                for arm, row in line["quality"].items():
                    mine = columns.setdefault(arm, {name: array("d") for name in row})
                    for name, value in row.items():
                        mine[name].append(math.nan if value is None else value)
        index = pd.Index(keys, name="key")
        quality = {
            arm: pd.DataFrame({name: np.array(c) for name, c in mine.items()}, index, dtype=float)
            for arm, mine in columns.items()
        }
        return truth, apart, quality

    def _score(self) -> dict[str, ArmResult]:
        """Every arm from its file; nothing where there are no labels or no detections."""
        context = self._context
        if context.detector is None or not context.labelled:
            return {}
        ground_truth = json.loads(self._ground_truth.read_text(encoding="utf-8"))
        return {
            arm: evaluate_arm(
                ground_truth,
                json.loads(self._predictions(arm).read_text(encoding="utf-8")),
                context.classes,
            )
            for arm in context.arms
        }

    @property
    def _ground_truth(self) -> Path:
        return self._context.folder / "ground_truth.json"

    def _predictions(self, arm: str) -> Path:
        return self._context.folder / "predictions" / f"{arm}.json"

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
        if summary.labels is not None and summary.classes is not None:
            advice = "name those that are to count in evaluation.classes, or map source.class_map"
            found += [*summary.labels.warnings, *summary.classes.warnings(advice)]
        frames = summary.frames
        if not frames["paired"]:
            found.append(
                "no frame of one camera has a partner in the other: are both times of one clock? "
                "(source.offset_ms)"
            )
        if scored and self._context.frame_rate is not None:
            found.append(
                "the frames of a recording resemble one another: 95% intervals are too narrow"
            )
        return leaks + found

    def _protocol(self, truth: GroundTruthFile) -> dict[str, Any]:
        """Everything that the numbers depend on."""
        detector = self._context.detector
        sizes = sorted(truth.sizes)
        protocol = {
            **self._context.protocol,
            "detector": None
            if detector is None
            else {**detector.fingerprint, "input_shapes": [detector.input_shape(s) for s in sizes]},
            "images": truth.images,
            "ground_truth_sha256": truth.content_hash(),
        }
        return {**protocol, "fingerprint": fingerprint(protocol)}


def _plain(shift: Misalignment | None) -> list[float | None] | None:
    """A shift as JSON has it, in thousandths of a pixel."""
    return None if shift is None else [round(v, 3) if math.isfinite(v) else None for v in shift]


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


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with writing(path):
        path.write_text(table.to_csv(index=False), encoding="utf-8")
