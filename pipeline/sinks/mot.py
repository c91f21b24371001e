"""Tracks in the MOTChallenge format, one text file per arm: `<sink>/<arm>.txt`.

Ten values per line, `frame,id,left,top,width,height,conf,class,visibility,-1`, the format of
motchallenge.net with class and visibility in columns 8 and 9 as in its ground truth since MOT16
(Milan et al., "MOT16: A Benchmark for Multi-Object Tracking", 2016), which TrackEval and CVAT read:

- `frame` counts the pairs of the run from 1: `image_id` in `predictions/<arm>.json`.
- `id` counts the arm's tracks from 1, over all classes.
- `left` and `top` count pixels from 0, the convention of trackers and labelling tools; the box is
  the detection's, not smoothed.
- `class` is the detector's class id + 1, so that a person, COCO's 0, is the MOTChallenge's 1.
- `visibility` is unknown: -1.

The tracks are ByteTrack's (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every
Detection Box", 2022), by the library `trackers`, with one tracker per class. Motion is predicted
over the recording's time, gaps included. A track begins at its second detection, which suppresses
single false positives.
"""

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Annotated

import numpy as np
import supervision
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from trackers import ByteTrackTracker

from common.component import SinkConfig
from common.errors import ConfigError, DataError
from common.files import writing
from pipeline.frames import Result
from pipeline.interfaces import RunContext, Sink, Summary
from pipeline.run_folder.names import TRACKER_LOG
from pipeline.run_folder.sink_files import Lines, read_lines

LIBRARY_RATE = 30  # frames per second in which the library counts how long a track is kept


class _Logged(BaseModel):
    """A line of the log."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    time_ns: int | None
    recording: int
    boxes: dict[str, list[Annotated[list[float], Field(min_length=6, max_length=6)]]]


class Config(SinkConfig):
    """Whose detections are tracked, and when a track begins and ends.

    The scores are what Ultralytics sets for ByteTrack with YOLO detectors.
    """

    reads_images = reads_frames = False

    arms: tuple[str, ...] | None = Field(None, min_length=1, description="default: all")
    conf: float = Field(0.1, ge=0, le=1, description="least score of what can go on with a track")
    new_conf: float = Field(0.25, ge=0, le=1, description="least score of what can begin a track")
    lost_frames: int = Field(
        30, ge=0, le=10_000, description="frames without the object after which its track ends"
    )

    def shown_arms(self) -> tuple[str, ...]:
        """Those of the settings."""
        return self.arms or ()


def build(config: Config, context: RunContext, name: str) -> "MotSink":
    """The sink.

    Raises:
        ConfigError: There is no detector, or a resumed run had no such tracks before.
    """
    if context.detector is None:
        raise ConfigError(f"sinks.{name}: there is nothing to track without a detector; add one")
    tracks = {arm: _Tracks(config, context.frame_rate) for arm in config.arms or context.arms}
    return MotSink(context.folder / name, tracks, config.conf, name, context.done)


class MotSink(Sink):
    """Tracks, and writes one line per object and pair.

    A tracker's state can't be saved. So the detections are logged during the run, and a resumed run
    tracks them again.
    """

    def __init__(
        self, folder: Path, tracks: "dict[str, _Tracks]", conf: float, sink: str, done: int
    ) -> None:
        self._tracks, self._conf = tracks, conf
        self._log_path = folder / TRACKER_LOG
        paths = {arm: folder / f"{arm}.txt" for arm in tracks}
        # The log is removed when the files are complete; the run was interrupted after that.
        self._finished = (
            done > 0
            and not self._log_path.exists()
            and all(path.exists() for path in paths.values())
        )
        if self._finished:
            return
        self._first_ns: int | None = None
        self._last_ns = self._recording = 0
        self._log = Lines(self._log_path, sink, done, self._check)
        self._files = {arm: Lines(path, sink, 0) for arm, path in paths.items()}
        for number, line in enumerate(read_lines(self._log_path)):
            self._track(number, **line)

    def write(self, result: Result) -> None:
        """Track one pair's detections."""
        if self._finished:
            raise DataError(
                f"{self._log_path.parent}: was complete before pair {result.number}, the source "
                "has more pairs now; start a new run"
            )
        boxes = {}
        for arm in self._tracks:
            detections = result.detections[arm]
            kept = detections[detections.score >= self._conf]
            rows = np.column_stack((kept.xyxy, kept.score, kept.class_id))  # (n, 6)
            boxes[arm] = rows.tolist()
        pair = result.item.pair
        time_ns, recording = pair.whole().vis.timestamp_ns, pair.recording
        line = {"time_ns": time_ns, "recording": recording, "boxes": boxes}
        self._log.write(json.dumps(line))
        self._track(result.number, time_ns, recording, boxes)

    def finish(self, summary: Summary) -> None:
        """Remove the log."""
        if not self._finished:
            self._close()
            with writing(self._log_path):
                self._log_path.unlink()
            self._finished = True

    def __exit__(self, *error: object) -> None:
        self._close()

    def _close(self) -> None:
        if not self._finished:
            for file in (self._log, *self._files.values()):
                file.close()

    def _check(self, value: object) -> None:
        """Raise a ValueError where this is no line of the log."""
        if _Logged.model_validate(value).boxes.keys() != self._tracks.keys():
            raise ValueError("it has other arms")

    def _track(
        self,
        number: int,
        time_ns: int | None,
        recording: int,
        boxes: Mapping[str, list[list[float]]],
    ) -> None:
        """Track one pair's boxes by arm, each xyxy, score and class id, and write the tracks."""
        if recording != self._recording:
            self._recording, self._first_ns = recording, None
            for tracks in self._tracks.values():
                tracks.end()
        seconds = self._seconds(time_ns)
        for arm, tracks in self._tracks.items():
            for line in tracks.update(np.array(boxes[arm]).reshape(-1, 6), seconds):
                self._files[arm].write(f"{number + 1},{line}")

    def _seconds(self, time_ns: int | None) -> float | None:
        """Seconds since the first pair, strictly increasing."""
        if time_ns is None:
            return None
        if self._first_ns is None:
            self._first_ns = self._last_ns = time_ns
        else:
            self._last_ns = max(self._last_ns + 1, time_ns)
        return (self._last_ns - self._first_ns) / 1e9


class _Tracks:
    """One arm's tracks, of all classes."""

    def __init__(self, config: Config, rate: Fraction | None) -> None:
        self._config = config
        self._rate = float(rate or LIBRARY_RATE)
        self._trackers: dict[int, ByteTrackTracker] = {}  # by class id
        self._ids: dict[int, dict[int, int]] = {}  # by class: our id by the tracker's, live tracks
        self._numbers = count(1)

    def end(self) -> None:
        """End all tracks: what follows is another recording."""
        self._trackers.clear()
        self._ids.clear()

    def update(self, boxes: NDArray[np.float64], seconds: float | None) -> list[str]:
        """Track one pair's boxes (n, 6); returns their lines without the frame number."""
        for class_id in np.unique(boxes[:, 5]).astype(int).tolist():
            if class_id not in self._trackers:
                self._trackers[class_id] = self._tracker()
                self._ids[class_id] = {}
        lines = []
        for class_id, tracker in self._trackers.items():
            rows = boxes[boxes[:, 5] == class_id]
            tracked = tracker.update(
                supervision.Detections(xyxy=rows[:, :4], confidence=rows[:, 4]), timestamp=seconds
            )
            ids = self._ids[class_id]
            for number, (x1, y1, x2, y2), score in _tracked(tracked):
                if number not in ids:
                    ids[number] = next(self._numbers)
                box = f"{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f}"
                lines.append((ids[number], f"{box},{score:.4f},{class_id + 1},-1,-1"))
            live = set(np.asarray(tracker.tracked_objects.tracker_id).tolist())
            self._ids[class_id] = {number: ours for number, ours in ids.items() if number in live}
        return [f"{number},{line}" for number, line in sorted(lines)]

    def _tracker(self) -> ByteTrackTracker:
        return ByteTrackTracker(
            lost_track_buffer=round(self._config.lost_frames * LIBRARY_RATE / self._rate),
            frame_rate=self._rate,
            track_activation_threshold=self._config.new_conf,
            high_conf_det_threshold=self._config.new_conf,
        )


def _tracked(boxes: supervision.Detections) -> Iterator[tuple[int, list[float], float]]:
    """The tracker's id, xyxy and score of each detection that belongs to a track."""
    if boxes.tracker_id is not None and boxes.confidence is not None:
        for number, xyxy, score in zip(
            boxes.tracker_id.tolist(), boxes.xyxy.tolist(), boxes.confidence.tolist(), strict=True
        ):
            if number >= 0:
                yield number, xyxy, score
