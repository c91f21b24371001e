"""An annotated video: the arms side by side, with boxes, as `video/<sink>.mp4`."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detection.boxes import Detections
from errors import ConfigError
from pipeline.frames import Result
from pipeline.interfaces import RunContext, Summary
from pipeline.sinks.images import choose_arms

TICKS = 90_000  # of the video's clock, per second
FONT, FONT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
TITLE_HEIGHT = 24  # pixels of the bar with the arm's name
# By class id modulo their number: well apart on grey and on colour images.
COLOURS = ((255, 196, 0), (0, 200, 255), (64, 224, 96), (255, 96, 96), (208, 128, 255))


class Config(BaseModel):
    """What the video shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arms: tuple[str, ...] | None = Field(
        None, min_length=1, description="default: all that have an image"
    )
    conf: float = Field(0.25, ge=0, le=1, description="least score of a box that is drawn")
    frame_rate: float = Field(10, ge=0.01, le=240, description="for stills; recordings keep theirs")
    columns: int = Field(3, ge=1, le=8, description="panels side by side")


def build(config: Config, context: RunContext, name: str) -> "VideoSink":
    """The sink.

    Raises:
        ConfigError: A run is resumed: a video that was broken off can't be continued.
    """
    if context.done:
        raise ConfigError(
            f"run.resume: the video of sinks.{name} can't be continued; start the run anew, or "
            f"resume without it (sinks.{name}=null)"
        )
    path = context.folder / "video" / f"{name}.mp4"
    arms = choose_arms(config.arms, context, name)
    names = {} if context.detector is None else context.detector.names
    return VideoSink(path, config, arms, names, context.frame_rate)


def open_video(path: Path, arms: tuple[str, ...], frame_rate: Fraction | None) -> "VideoSink":
    """A video of the arms' bare images at a path of the caller's."""
    return VideoSink(path, Config(), arms, {}, frame_rate)


class VideoSink:
    """Draws and encodes; see ``interfaces.Sink``. Later frames of another size are scaled.

    The file is opened with the first frame, whose size it takes.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        arms: tuple[str, ...],
        names: Mapping[int, str],
        frame_rate: Fraction | None,
    ) -> None:
        self._path, self._config, self._arms, self._names = path, config, arms, names
        self._rate = frame_rate or Fraction(config.frame_rate).limit_denominator(1001)
        self._size: tuple[int, int] | None = None  # of the first frame's panels
        self._last_tick = -1
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def write(self, result: Result) -> None:
        """Draw and encode one pair."""
        if self._size is None:
            self._size = result.item.size
        canvas = self._compose(result)
        if self._container is None or self._stream is None:
            self._container, self._stream = self._open(canvas.shape[0], canvas.shape[1])
        frame = av.VideoFrame.from_ndarray(canvas, format="rgb24")
        frame.time_base = Fraction(1, TICKS)
        self._last_tick = frame.pts = max(self._last_tick + 1, self._tick(result))
        self._container.mux(self._stream.encode(frame))

    def flush(self) -> None:
        """The encoder keeps its own queue."""

    def finish(self, summary: Summary) -> None:
        """Complete the file."""
        self.close()

    def close(self) -> None:
        """Bring out the encoder's last frames and close the file."""
        if self._container is None or self._stream is None:
            return
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._container = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, height: int, width: int) -> tuple[OutputContainer, VideoStream]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        container = av.open(str(self._path), "w")
        stream = container.add_stream("libx264", rate=self._rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": "20", "preset": "veryfast"}
        stream.codec_context.time_base = Fraction(1, TICKS)
        return container, stream

    def _tick(self, result: Result) -> int:
        """The pair's time on the video's clock."""
        time_ns = result.item.pair.whole().vis.timestamp_ns
        seconds = (
            Fraction(result.number) / self._rate if time_ns is None else Fraction(time_ns, 10**9)
        )
        return round(seconds * TICKS)

    def _compose(self, result: Result) -> NDArray[np.uint8]:
        """All panels on one canvas, HWC RGB with even sides (the codec needs them)."""
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
        _text(title, arm, (8, 17), (255, 255, 255))
        return np.vstack((title, image))


def draw_boxes(
    image: NDArray[np.uint8], found: Detections, names: Mapping[int, str], conf: float
) -> None:
    """Draw the detections that score at least ``conf`` into an HWC RGB image."""
    shown = found[found.score >= conf]
    # the best last, so that its label lies on top
    for i in reversed(range(len(shown))):
        box, score, class_id = shown.xyxy[i], shown.score[i], shown.class_id[i]
        left, top, right, bottom = (round(float(v)) for v in box)
        colour = COLOURS[int(class_id) % len(COLOURS)]
        cv2.rectangle(image, (left, top), (right, bottom), colour, 2)
        label = f"{names.get(int(class_id), class_id)} {score:.2f}"
        width = cv2.getTextSize(label, FONT, FONT_SCALE, 1)[0][0] + 4
        above = max(top, 14)
        cv2.rectangle(image, (left, above - 14), (left + width, above), colour, -1)
        _text(image, label, (left + 2, above - 3), (0, 0, 0))


def _text(
    image: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    cv2.putText(image, text, place, FONT, FONT_SCALE, colour, 1, cv2.LINE_AA)
