"""The run's log for its evaluation: labels, detections and quality of each pair, as JSON lines.

While the run works, one line a pair is appended to `frames.jsonl`; ``pipeline.engine.evaluation``
makes `results.json` and all that belongs to it of them. Detections in ignore regions, which count
neither way, are left out: COCO's own rule for them is another one.
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
from pipeline.run_folder.folder import FRAMES
from pipeline.run_folder.sink_files import Lines


class Config(SinkConfig):
    """Nothing to set."""

    is_scored = True


def build(config: Config, context: RunContext, name: str) -> "ResultsSink":
    """The sink; it needs no settings and writes to fixed names in the run folder.

    Raises:
        ConfigError: A resumed run had no such file before.
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
    """Logs labels and detections as they come; the evaluation scores them at the end."""

    def __init__(self, context: RunContext, name: str) -> None:
        self._lines = Lines(context.folder / FRAMES, name, context.done, _Line.model_validate)

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()


def _plain(shift: Misalignment | None) -> list[float | None] | None:
    """A shift as JSON has it, in thousandths of a pixel."""
    return None if shift is None else [round(v, 3) if math.isfinite(v) else None for v in shift]
