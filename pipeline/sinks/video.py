"""An annotated video: the arms side by side, with boxes, as `video/<sink>.mp4`.

Each frame has the time of its visible frame in the recording, of equal times the second one a tick
later. Times that begin before 0 or over an hour after it are a clock's and no place in a recording:
then the video begins at 0.
"""

from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.component import SinkConfig
from common.errors import DataError
from detection.boxes import Detections
from pipeline.frames import Result
from pipeline.interfaces import RunContext, Sink, Summary
from pipeline.run_folder.names import VIDEO
from pipeline.run_folder.sink_files import Parts, damaged
from pipeline.sinks._video_writer import TICKS, VideoEncoder, comment_and_last_tick, join
from pipeline.sinks.images import choose_arms

LATEST_START = 3600  # seconds; a larger first time is taken as a clock's time, not the video's
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
TITLE_HEIGHT = 24  # pixels of the bar with the arm's name
# By class id modulo their number; distinct on grey and on colour images.
COLOURS = ((255, 196, 0), (0, 200, 255), (64, 224, 96), (255, 96, 96), (208, 128, 255))


class Config(SinkConfig):
    """Content of the video."""

    reads_frames = False

    arms: tuple[str, ...] | None = Field(
        None, min_length=1, description="default: all that have an image"
    )
    conf: float = Field(0.25, ge=0, le=1, description="least score of a box that is drawn")
    frame_rate: float = Field(10, ge=0.01, le=240, description="for stills; recordings keep theirs")
    columns: int = Field(3, ge=1, le=8, description="panels side by side")

    def shown_arms(self) -> tuple[str, ...]:
        """The arms of the settings."""
        return self.arms or ()


def build(config: Config, context: RunContext, name: str) -> "VideoSink":
    """The sink.

    Raises:
        ConfigError: An arm has no image, or the interrupted run didn't have this sink.
    """
    arms = choose_arms(config.arms, context, name)
    names = {} if context.detector is None else context.detector.names
    parts = Parts(context.folder / VIDEO / f"{name}.mp4", name, context.done, comment_and_last_tick)
    return VideoSink(parts, VideoWriter(config, arms, names, context.frame_rate))


def open_video(path: Path, arms: tuple[str, ...], frame_rate: Fraction | None) -> "VideoWriter":
    """A writer of the arms' images without boxes, to ``path``."""
    writer = VideoWriter(Config(), arms, {}, frame_rate)
    writer.begin(path)
    return writer


class VideoSink(Sink):
    """Writes the video in parts, one per checkpoint.

    So an interrupted run leaves playable videos, and a resumed run encodes each frame as an
    uninterrupted one does. The parts are joined without re-encoding; that temporarily needs twice
    the disk space.
    """

    def __init__(self, parts: Parts, writer: "VideoWriter") -> None:
        self._parts, self._writer = parts, writer
        if parts.whole:
            writer.go_on_after(parts.whole[-1])
        self._last: int | None = None  # last pair of the open part

    def write(self, result: Result) -> None:
        """Draw and encode one pair."""
        if self._last is None:
            self._writer.begin(self._parts.begin(result.number))
        self._writer.write(result)
        self._last = result.number

    def flush(self) -> None:
        """Complete the part."""
        if self._last is not None:
            self._writer.close()
            self._parts.end(self._last)
            self._last = None

    def finish(self, summary: Summary) -> None:
        """Join the parts."""
        self.flush()
        self._parts.join(join)

    def __exit__(self, *error: object) -> None:
        # After an interruption, so that the last part can be played.
        with suppress(DataError):  # the run failed already, with an error of its own
            self._writer.close()


class VideoWriter:
    """Draws and encodes into one file after the other.

    Frames are scaled to the size of the first one.
    """

    def __init__(
        self,
        config: Config,
        arms: tuple[str, ...],
        names: Mapping[int, str],
        frame_rate: Fraction | None,
    ) -> None:
        self._config, self._arms, self._names = config, arms, names
        self._rate = frame_rate or Fraction(config.frame_rate).limit_denominator(1001)
        self._size: tuple[int, int] | None = None  # of the first frame's panels
        self._origin: int | None = None  # the video's 0 on the recording's clock, in ticks
        self._last_tick = -1
        self._recording = 0
        self._path = Path()
        self._file: VideoEncoder | None = None

    def begin(self, path: Path) -> None:
        """Write to another file from now on."""
        self._path = path

    def go_on_after(self, path: Path) -> None:
        """Restore size and time from the last file of an interrupted run."""
        comment, self._last_tick = comment_and_last_tick(path)
        try:
            width, height, self._origin, self._recording = map(int, comment.split())
        except ValueError as error:
            raise damaged(path, "unexpected comment") from error
        self._size = height, width

    def write(self, result: Result) -> None:
        """Draw and encode one pair."""
        if self._size is None:
            self._size = result.item.size
        tick = self._tick(result)
        if self._origin is None:
            self._origin = 0 if 0 <= tick <= LATEST_START * TICKS else tick
            self._recording = result.item.pair.recording
        if self._recording != result.item.pair.recording:  # its times begin anew
            self._origin = tick - self._last_tick - round(TICKS / self._rate)
            self._recording = result.item.pair.recording
        canvas = self._compose(result)
        if self._file is None:
            height, width = self._size
            # for the run that goes on with it
            comment = f"{width} {height} {self._origin} {self._recording}"
            self._file = VideoEncoder(
                self._path, size=canvas.shape[:2], rate=self._rate, comment=comment
            )
        self._last_tick = max(self._last_tick + 1, tick - self._origin)
        self._file.write(canvas, self._last_tick)

    def close(self) -> None:
        """Complete the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _tick(self, result: Result) -> int:
        """The pair's time on the recording's clock."""
        time_ns = result.item.pair.whole().vis.timestamp_ns
        seconds = (
            Fraction(result.number) / self._rate if time_ns is None else Fraction(time_ns, 10**9)
        )
        return round(seconds * TICKS)

    def _compose(self, result: Result) -> NDArray[np.uint8]:
        """All panels on one canvas, HWC RGB of even height and width (for the codec)."""
        panels = [self._panel(arm, result) for arm in self._arms]
        columns = min(self._config.columns, len(panels))
        panels += [np.zeros_like(panels[0])] * (-len(panels) % columns)
        rows = [np.hstack(panels[i : i + columns]) for i in range(0, len(panels), columns)]
        canvas = np.vstack(rows)
        return np.pad(canvas, ((0, canvas.shape[0] % 2), (0, canvas.shape[1] % 2), (0, 0)))

    def _panel(self, arm: str, result: Result) -> NDArray[np.uint8]:
        image = result.image(arm).copy()
        if arm in result.detections:
            draw_boxes(image, result.detections[arm], self._names, self._config.conf)
        if self._size is not None and self._size != image.shape[:2]:
            image = np.asarray(cv2.resize(image, self._size[::-1]))
        if len(self._arms) == 1:
            return image
        title = np.zeros((TITLE_HEIGHT, image.shape[1], 3), np.uint8)
        draw_text(title, arm, (8, 17), (255, 255, 255))
        return np.vstack((title, image))


def draw_boxes(
    image: NDArray[np.uint8], detections: Detections, names: Mapping[int, str], conf: float
) -> None:
    """Draw the detections that score at least ``conf`` into an HWC RGB image."""
    shown = detections[detections.score >= conf]
    # the best last, on top of the others
    for i in reversed(range(len(shown))):
        box, score, class_id = shown.xyxy[i], shown.score[i], shown.class_id[i]
        left, top, right, bottom = (round(float(v)) for v in box)
        colour = COLOURS[int(class_id) % len(COLOURS)]
        cv2.rectangle(image, (left, top), (right, bottom), colour, 2)
        label = f"{names.get(int(class_id), class_id)} {score:.2f}"
        width = cv2.getTextSize(label, FONT, FONT_SCALE, 1)[0][0] + 4
        above = max(top, 14)
        cv2.rectangle(image, (left, above - 14), (left + width, above), colour, -1)
        draw_text(image, label, (left + 2, above - 3), (0, 0, 0))


def draw_text(
    image: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """Write text into an HWC RGB image, its baseline beginning at ``place`` (x, y)."""
    cv2.putText(image, text, place, FONT, FONT_SCALE, colour, 1, cv2.LINE_AA)
