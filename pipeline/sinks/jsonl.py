"""All detections as JSON lines, one per pair: `<sink>.jsonl`.

A line has the pair's `key`, `number` (from 0), `time_ns` (of the visible frame, null for stills),
`ir_frame` and `vis_frame` (positions in their streams, from 0; -1 for a missing frame), and in
`detections` by arm a list of `xyxy` (pixels, to a thousandth), `score`, `class_id` and `class`.
Pairs without detections have a line too. Detections in ignore regions are included.
"""

import json
from collections.abc import Mapping
from typing import Any

from common.component import SinkConfig
from common.errors import ConfigError
from detection.boxes import Detections
from pipeline.frames import Result
from pipeline.interfaces import RunContext, Sink
from pipeline.run_folder.names import PAIR_LOG
from pipeline.run_folder.sink_files import Lines


class Config(SinkConfig):
    """Nothing to set."""

    reads_images = reads_frames = False


def build(config: Config, context: RunContext, name: str) -> "JsonLinesSink":
    """The sink.

    Raises:
        ConfigError: The interrupted run didn't have it, or its file name is taken.
    """
    if f"{name}.jsonl" == PAIR_LOG:
        raise ConfigError(f"sinks.{name}: {PAIR_LOG} is the run's own file; rename the sink")
    lines = Lines(context.folder / f"{name}.jsonl", name, context.done)
    return JsonLinesSink(lines, {} if context.detector is None else context.detector.names)


class JsonLinesSink(Sink):
    """Writes one line per pair."""

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
            "detections": {arm: self._entries(boxes) for arm, boxes in result.detections.items()},
        }
        self._lines.write(json.dumps(line, allow_nan=False))

    def __exit__(self, *error: object) -> None:
        self._lines.close()

    def _entries(self, detections: Detections) -> list[dict[str, Any]]:
        """One arm's detections; scores are the shortest decimals that round to the same float32."""
        return [
            {
                "xyxy": [round(value, 3) for value in xyxy],
                "score": float(str(score)),
                "class_id": class_id,
                "class": self._names.get(class_id, str(class_id)),
            }
            for xyxy, score, class_id in zip(
                detections.xyxy.tolist(),
                detections.score,
                detections.class_id.tolist(),
                strict=True,
            )
        ]
