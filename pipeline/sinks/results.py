"""The log of a run for its evaluation: labels, detections and quality of each pair.

During the run one JSON line per pair is appended to `frames.jsonl`, and each arm's detections to a
file of its own, from which ``pipeline.engine.evaluation`` makes `results.json` and the other files.
The line has the number of detections. Detections in ignore
regions are left out, since COCO's own rule for them differs.
"""

import json
import math
from typing import Annotated, Any

from pydantic import BaseModel, Field

from common.component import SinkConfig
from common.files import writing
from common.modality import Modality
from eval.labels import Labels
from eval.matching import drop_ignored
from pipeline.frames import Item, Misalignment, Result
from pipeline.images import write_png
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.detection_log import DetectionLog
from pipeline.run_folder.names import MASKS, PAIR_LOG
from pipeline.run_folder.sink_files import Lines


class Config(SinkConfig):
    """Nothing to set."""

    reads_images = reads_frames = False
    is_scored = True


def build(config: Config, context: RunContext, name: str) -> "ResultsSink":
    """The sink.

    Raises:
        ConfigError: The interrupted run didn't have it.
    """
    return ResultsSink(context, name)


_Box = Annotated[list[float], Field(min_length=4, max_length=4)]


class _Labels(BaseModel):
    xyxy: list[_Box]
    class_id: list[int]
    ignore: list[_Box]


class _Line(_Labels):
    """A pair in `frames.jsonl`; ``own_labels`` only where a camera has some."""

    key: str
    size: tuple[int, int]
    light: str | None
    dead: str | None
    shift: list[float | None] | None
    detections: dict[str, Annotated[int, Field(ge=0)]]  # how many, by arm
    quality: dict[str, dict[str, float | None]]
    own_labels: dict[str, _Labels] = {}


class ResultsSink(Sink):
    """Logs labels and detections and writes masks; the evaluation scores them at the end."""

    def __init__(self, context: RunContext, name: str) -> None:
        self._masks = context.folder / MASKS
        self._truths, self._cameras = context.truths, set(context.own_labels)
        arms = () if context.detector is None else context.arms
        self._logged = dict.fromkeys(arms, 0)  # detections of the interrupted run
        self._lines = Lines(context.folder / PAIR_LOG, name, context.done, self._check)
        self._logs = {
            arm: DetectionLog(context.folder, arm, count) for arm, count in self._logged.items()
        }

    def write(self, result: Result) -> None:
        """Append one pair's labels and detections, and write its masks."""
        item, truths = result.item, self._truths
        height, width = item.size
        kept = {
            arm: drop_ignored(detections, _truth(item, truths.get(arm)))
            for arm, detections in result.detections.items()
        }
        for arm, detections in kept.items():
            self._logs[arm].write(detections)
        line = {
            "key": item.pair.key,
            "size": [height, width],
            "light": item.light,
            "dead": item.dead,
            "shift": _plain(item.misalignment),
            **_listed(_truth(item)),
            "detections": {arm: len(detections) for arm, detections in kept.items()},
            "quality": {
                arm: {name: value if math.isfinite(value) else None for name, value in row.items()}
                for arm, row in result.quality.items()
            },
        }
        if item.own_labels:
            own = item.own_labels.items()
            line["own_labels"] = {camera: _listed(labels) for camera, labels in own}
        for arm, mask in result.masks.items():
            path = self._masks / arm / f"{item.pair.key}.png"
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)  # a key may contain folders
                write_png(path, mask)
        self._lines.write(json.dumps(line))

    def _check(self, line: object) -> None:
        """Check a line of the interrupted run.

        Raises:
            ValueError: It is damaged.
        """
        found = _Line.model_validate(line)
        if found.own_labels.keys() != self._cameras:
            raise ValueError("its own_labels are of other cameras")
        if not found.detections.keys() <= self._logged.keys():
            raise ValueError("its detections are of other arms")
        for arm, count in found.detections.items():
            self._logged[arm] += count

    def __exit__(self, *error: object) -> None:
        self._lines.close()
        for log in self._logs.values():
            log.close()


def _truth(item: Item, camera: Modality | None = None) -> Labels:
    # not `or`: labels without objects are false, but may have ignore regions
    labels = item.truth(camera)
    return Labels.empty() if labels is None else labels


def _listed(labels: Labels) -> dict[str, Any]:
    columns = {"xyxy": labels.xyxy, "class_id": labels.class_id, "ignore": labels.ignore}
    return {name: column.tolist() for name, column in columns.items()}


def _plain(shift: Misalignment | None) -> list[float | None] | None:
    """A shift for JSON, rounded to thousandths of a pixel; None for NaN."""
    return None if shift is None else [round(v, 3) if math.isfinite(v) else None for v in shift]
