"""The frames of a video file, and what damage took of them."""

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from common.errors import DataError
from pipeline.frames import Frame, Image
from pipeline.sources._recordings import Lost
from pipeline.sources._timestamps import SECOND, rate_of, video_times

log = logging.getLogger(__name__)
PixelFormat = Literal["gray", "rgb24"]
_Packet: TypeAlias = "Packet[VideoStream] | None"  # None: there are no more


class VideoFile:
    """A camera's recording; see ``pipeline.sources._recordings.Stream``.

    Decoding goes on after damage: a frame that the decoder gives up or calls corrupt is lost, and
    those after it keep their numbers. What was lost without a word is said at the end: packets
    without a picture, and a file that ends before the time that it names.

    Attributes:
        rate: Frames per second by ``times``, else as the file says it.
        frames: Number of frames as the file says it, 0 where it doesn't.
    """

    def __init__(
        self,
        path: Path,
        pixel_format: PixelFormat,
        *,
        times: Path | None = None,
        convert: Callable[[Image], Image] | None = None,
    ) -> None:
        """Open the file.

        Args:
            path: Any container that FFmpeg reads.
            pixel_format: "gray" gives HW uint8, or HW uint16 of grey videos with more than 8 bit.
            times: CSV file with the frames' times; see ``pipeline.sources._timestamps``.
            convert: What every image goes through, in order.

        Raises:
            DataError: The file is missing or holds no video, or its times are wrong.
        """
        self._path, self._format, self._convert = path, pixel_format, convert
        self._times_path = times
        self._times = None if times is None else video_times(times)
        self._container = open_video(path)
        self._stream = self._container.streams.video[0]
        # Frame threads tell of a lost frame some frames late: a row's time would be another frame's
        self._stream.thread_type = "AUTO" if times is None else "SLICE"
        self.frames: int = self._stream.frames
        rate = rate_of(self._times) if self._times else None
        self.rate = rate or Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
        if self._times and 0 < self.frames < len(self._times):
            self.close()
            raise DataError(
                f"{times}, line {self.frames + 2}: frame {self.frames} is not in {path}, which has "
                f"{self.frames} frames; are the times of another recording?"
            )
        self._count = self._packets = self._end_ns = 0
        self._damage = ""

    def key(self, index: int) -> str:
        """The number of the frame, `000012`."""
        return f"{index:06d}"

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame | Lost]:
        """Frames in order of presentation.

        Raises:
            DataError: The file has more frames than ``times`` lists.
        """
        lost = 0
        for packet in self._read():
            self._packets += packet is not None and not packet.is_discard
            for item in self._decode(packet):
                lost += isinstance(item, Lost)
                self._count += 1
                yield item
        if lost:
            log.warning("%s: %d damaged frames are left out", self._path, lost)
        if end := self._damage or self._shortage():
            log.warning("%s: %s", self._path, end)
            yield Lost(None, f"{self._path}: {end}")

    def _read(self) -> Iterator[_Packet]:
        """The packets; at last None, which makes the decoder give what it holds."""
        try:
            yield from packets(self._container, self._stream)
        except (OSError, av.FFmpegError) as error:
            self._damage = f"cannot be read to its end ({error.strerror})"
        yield None

    def _decode(self, packet: _Packet) -> Iterator[Frame | Lost]:
        """The frames that come out with a packet; their index is ``_count`` at that moment."""
        try:
            frames = self._stream.decode(packet)
        except av.FFmpegError as error:
            yield self._lost(error.strerror)
            return
        for frame in frames:
            yield self._lost("corrupt") if frame.is_corrupt else self._frame(frame)

    def _lost(self, why: str | None) -> Lost:
        return Lost(self._count, f"{self._path}: frame {self._count} is damaged ({why})")

    def _frame(self, frame: VideoFrame) -> Frame:
        image = to_image(frame, self._format)
        time, duration = self._presentation_ns(frame)
        self._end_ns = time + duration
        if self._times is not None:
            time = self._listed_ns(self._times)
        return Frame(self._convert(image) if self._convert else image, time, self._count)

    def _presentation_ns(self, frame: VideoFrame) -> tuple[int, int]:
        """Time and duration as the file says them."""
        unit = self._stream.time_base  # frames of the end have none of their own
        usual = int(SECOND / self.rate)
        if frame.pts is None or unit is None:
            return int(self._count * SECOND / self.rate), usual
        return int(frame.pts * unit * SECOND), int(frame.duration * unit * SECOND) or usual

    def _listed_ns(self, times: list[int]) -> int:
        if self._count >= len(times):
            raise DataError(
                f"{self._times_path}, line {len(times) + 1}: ends with frame {len(times) - 1}, but "
                f"{self._path} goes on; list every frame"
            )
        return times[self._count]

    def _shortage(self) -> str:
        """What the file promised and didn't give; empty where nothing."""
        if self._times is not None and self._count < len(self._times):
            return (
                f"has {self._count} frames, {self._times_path} lists {len(self._times)}; times "
                "after a damaged place may be those of other frames"
            )
        if self._count < self._packets:
            return f"{self._packets - self._count} of {self._packets} packets gave no picture"
        length = self._length_ns()
        if self._times is None and self._end_ns + int(SECOND / self.rate) < length:
            return f"ends at {self._end_ns / SECOND:.2f} s of {length / SECOND:.2f} s"
        if self._count < self.frames:
            # no fault by itself: an edit list may hide frames that the file counts
            log.warning("%s: %d of %d frames were shown", self._path, self._count, self.frames)
        return ""

    def _length_ns(self) -> int:
        """When the video ends as the file says it, 0 where it doesn't."""
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            return int(((stream.start_time or 0) + stream.duration) * stream.time_base * SECOND)
        if container.duration is not None and len(container.streams) == 1:  # no longer sound
            return ((container.start_time or 0) + container.duration) * SECOND // av.time_base
        return 0


def packets(container: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """The packets with data in the order of the file.

    Raises:
        OSError: Reading failed; so does FFmpegError.
    """
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except IndexError as error:  # of PyAV, where damage looks like the beginning of a new stream
        raise OSError(None, "another stream begins in the middle") from error


def to_image(frame: VideoFrame, pixel_format: PixelFormat) -> Image:
    """A decoded frame: "rgb24" HWC uint8; "gray" HW uint8, or uint16 of grey with 10 to 16 bit."""
    deep = pixel_format == "gray" and frame.format.name.startswith("gray1")
    return frame.to_ndarray(format="gray16le" if deep else pixel_format)


def open_video(path: Path) -> InputContainer:
    """Open a file that holds a video.

    Raises:
        DataError: It is missing or holds no video.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such recording")
    try:
        container = av.open(str(path), metadata_errors="replace")  # titles may be damaged too
    except av.FFmpegError as error:
        raise DataError(f"{path}: not a video that FFmpeg reads ({error.strerror})") from error
    if not container.streams.video:
        container.close()
        raise DataError(f"{path}: has no video stream")
    return container
