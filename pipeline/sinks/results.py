"""The log of a run for its evaluation: labels, detections and quality of each pair.

During the run one JSON line per pair is appended to `frames.jsonl`, from which
``pipeline.engine.evaluation`` makes `results.json` and the other files. Detections in ignore
regions are left out, since COCO's own rule for them differs.
"""

import json
import math
from types import TracebackType
from typing import Annotated

from pydantic import BaseModel, Field

from common.component import SinkConfig
from eval.coco import detections_json
from eval.labels import Labels
from eval.matching import drop_ignored
from pipeline.frames import Misalignment, Result
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.names import PAIR_LOG
from pipeline.run_folder.sink_files import Lines


class Config(SinkConfig):
    """Nothing to set."""

    is_scored = True


def build(config: Config, context: RunContext, name: str) -> "ResultsSink":
    """The sink.

    Raises:
        ConfigError: The interrupted run didn't have it.
    """
    return ResultsSink(context, name)


_Box = Annotated[list[float], Field(min_length=4, max_length=4)]


class _Entry(BaseModel):
    """A detection, as in COCO's files."""

    image_id: int
    category_id: int
    bbox: _Box
    score: float


class _Line(BaseModel):
    """A pair in `frames.jsonl`."""

    key: str
    size: tuple[int, int]
    light: str | None
    dead: str | None
    shift: list[float | None] | None
    xyxy: list[_Box]
    class_id: list[int]
    ignore: list[_Box]
    detections: dict[str, list[_Entry]]
    quality: dict[str, dict[str, float | None]]


class ResultsSink(Sink):
    """Logs labels and detections; the evaluation scores them at the end."""

    def __init__(self, context: RunContext, name: str) -> None:
        self._lines = Lines(context.folder / PAIR_LOG, name, context.done, _Line.model_validate)

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
                arm: detections_json(result.number + 1, drop_ignored(detections, labels))
                for arm, detections in result.detections.items()
            },
            "quality": {
                arm: {name: value if math.isfinite(value) else None for name, value in row.items()}
                for arm, row in result.quality.items()
            },
        }
        self._lines.write(json.dumps(line))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()


def _plain(shift: Misalignment | None) -> list[float | None] | None:
    """A shift for JSON, rounded to thousandths of a pixel; None for NaN."""
    return None if shift is None else [round(v, 3) if math.isfinite(v) else None for v in shift]
