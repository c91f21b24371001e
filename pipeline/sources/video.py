"""Two recordings, one infrared and one visible, paired by presentation time."""

import logging
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from errors import DataError
from eval.class_names import COCO_NAMES
from eval.labels import Labels
from pipeline.frames import BadPair, Frame, FramePair, Image
from pipeline.images import to_eight_bit
from pipeline.sources.image_folder import IrRange
from pipeline.sync import pair_by_time

log = logging.getLogger(__name__)
SECOND = 1_000_000_000  # in nanoseconds


class Config(BaseModel):
    """Two recordings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ir: Path = Field(description="infrared recording, any container that FFmpeg reads")
    vis: Path = Field(description="visible recording")
    tolerance_ms: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="most difference in a pair; default half a frame",
    )
    ir_range: IrRange | None = Field(None, description="counts of 16-bit IR -> 0..255")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "VideoPairs":
    """The pairs of two recordings; they have no labels, so ``names`` names nothing.

    Raises:
        DataError: A file is missing or holds no video.
    """
    return VideoPairs(config)


class VideoPairs:
    """Pairs of two recordings; see ``pipeline.interfaces.Source``.

    A pair's key is the number of its visible frame, `000012`; an infrared frame without partner
    has the key `ir_000012`.
    """

    has_labels = False

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ir, self._vis = Recording(config.ir, "gray"), Recording(config.vis, "rgb24")
        if self._ir.rate != self._vis.rate:
            log.info("frame rates: infrared %s, visible %s", self._ir.rate, self._vis.rate)

    @property
    def count(self) -> int | None:
        """At most this many pairs, where the files say how many frames they have."""
        if self._ir.frames and self._vis.frames:
            return min(self._ir.frames, self._vis.frames)
        return None

    @property
    def frame_rate(self) -> Fraction:
        """Pairs per second: the slower recording's rate."""
        return min(self._ir.rate, self._vis.rate)

    @property
    def tolerance_ns(self) -> int:
        """Largest difference of time inside a pair."""
        if self._config.tolerance_ms is not None:
            return round(self._config.tolerance_ms * 1e6)
        # A frame of the slower recording is at most this far from the nearest of the faster one.
        return int(SECOND / max(self._ir.rate, self._vis.rate) / 2)

    def check(self) -> None:
        """Nothing more: both files were opened."""

    @property
    def keys(self) -> None:
        """Not known before the end."""

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """A recording has no labels."""
        return np.zeros(0, np.int64)

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """A recording has no labels."""
        return Labels.empty()

    def __iter__(self) -> Iterator[FramePair | BadPair]:
        for ir, vis in pair_by_time(self._ir, self._vis, tolerance_ns=self.tolerance_ns):
            yield self._pair(ir, vis)
        for name, recording in (("ir", self._ir), ("vis", self._vis)):
            if recording.damage:
                yield BadPair(f"{name}_end", recording.damage)

    def _pair(self, ir: Frame | None, vis: Frame | None) -> FramePair | BadPair:
        key = f"{vis.index:06d}" if vis is not None else f"ir_{ir.index if ir else 0:06d}"
        if ir is not None:
            try:
                image = to_eight_bit(ir.image, self._config.ir_range, self._config.ir)
            except DataError as error:
                return BadPair(key, str(error))
            ir = Frame(image, ir.timestamp_ns, ir.index)
        return FramePair(key, ir, vis)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ir.close()
        self._vis.close()


class Recording:
    """The frames of a video file, in order of presentation.

    Attributes:
        rate: Frames per second as the file says it.
        frames: Number of frames as the file says it, 0 where it doesn't.
        damage: Why the recording ended early, once it did; the other one goes on alone.
    """

    def __init__(self, path: Path, pixel_format: str) -> None:
        self._path, self._format = path, pixel_format
        self._container = self._open()
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self.rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
        self.frames: int = stream.frames
        self.damage = ""

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        stream = self._container.streams.video[0]
        index = 0
        try:
            for frame in self._container.decode(stream):
                yield Frame(self._image(frame), self._time_ns(frame, index), index)
                index += 1
        except av.FFmpegError as error:
            self.damage = f"{self._path}: damaged after {index} frames ({error})"
            log.warning("%s", self.damage)
        else:
            # no fault by itself: an edit list may hide frames that the file counts
            if index < self.frames:
                log.warning("%s: %d of %d frames could be read", self._path, index, self.frames)

    def _image(self, frame: VideoFrame) -> Image:
        deep = self._format == "gray" and frame.format.name.startswith("gray1")  # 10 to 16 bit
        return frame.to_ndarray(format="gray16le" if deep else self._format)

    def _time_ns(self, frame: VideoFrame, index: int) -> int:
        if frame.pts is None or frame.time_base is None:
            return int(index * SECOND / self.rate)
        return int(frame.pts * frame.time_base * SECOND)

    def _open(self) -> InputContainer:
        if not self._path.is_file():
            raise DataError(f"{self._path}: no such recording")
        try:
            container = av.open(str(self._path))
        except av.FFmpegError as error:
            raise DataError(f"{self._path}: not a video that FFmpeg reads ({error})") from error
        if not container.streams.video:
            container.close()
            raise DataError(f"{self._path}: has no video stream")
        return container
