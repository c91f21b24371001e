"""Every detection as JSON lines, one a pair: `<sink>.jsonl`.

A line has the pair's `key`, `number` (from 0), `time_ns` (of the visible frame, null for stills),
`ir_frame` and `vis_frame` (positions in their streams, from 0; -1 for a frame that was missing),
and in `detections` by arm a list of `xyxy` (pixels, to a thousandth), `score`, `class_id` and
`class`. Pairs on which nothing was found have their line too. Nothing is left out, not what lies in
ignore regions either.
"""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from pydantic import BaseModel, ConfigDict

from common.errors import ConfigError
from detection.boxes import Detections
from pipeline.frames import Result
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.folder import FRAMES
from pipeline.run_folder.sink_files import Lines


class Config(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def build(config: Config, context: RunContext, name: str) -> "JsonLinesSink":
    """The sink.

    Raises:
        ConfigError: A resumed run had no such file before, or its name is that of another.
    """
    if f"{name}.jsonl" == FRAMES:
        raise ConfigError(f"sinks.{name}: {FRAMES} is the run's own file; rename the sink")
    lines = Lines(context.folder / f"{name}.jsonl", name, context.done)
    return JsonLinesSink(lines, {} if context.detector is None else context.detector.names)


class JsonLinesSink(Sink):
    """Writes a line a pair."""

    def __init__(self, lines: Lines, names: Mapping[int, str]) -> None:
        self._lines, self._names = lines, names

    def write(self, result: Result) -> None:
        """Append one pair."""
        pair = result.item.pair.whole()
        line = {
            "key": pair.key,
            "number": result.number,
            "time_ns": pair.vis.timestamp_ns,
            "ir_frame": pair.ir.index,
            "vis_frame": pair.vis.index,
            "detections": {arm: self._entries(found) for arm, found in result.detections.items()},
        }
        self._lines.write(json.dumps(line, allow_nan=False))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lines.close()

    def _entries(self, found: Detections) -> list[dict[str, Any]]:
        """One arm's detections; scores are the shortest decimals that give the same float32."""
        return [
            {
                "xyxy": [round(value, 3) for value in xyxy],
                "score": float(str(score)),
                "class_id": class_id,
                "class": self._names.get(class_id, str(class_id)),
            }
            for xyxy, score, class_id in zip(
                found.xyxy.tolist(), found.score, found.class_id.tolist(), strict=True
            )
        ]
