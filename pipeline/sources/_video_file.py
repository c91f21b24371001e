"""The frames of a video file, decoded past damage."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from common.errors import DataError
from common.modality import Modality
from pipeline.frames import Frame, Image
from pipeline.sources._plausibility import Plausibility
from pipeline.sources._stream import CHECK_EVERY, Lost, RecordingInfo
from pipeline.sources._timestamps import SECOND, typical_rate, video_times
from pipeline.sources._video_image import PixelFormat, thumbnail, to_image
from pipeline.sources._video_open import bits, choose_stream, open_video
from pipeline.sources._video_times import VideoTimes

log = logging.getLogger(__name__)
FIRST = 48  # packets that are read ahead to estimate the rate
_Packet: TypeAlias = "Packet[VideoStream] | None"  # None: there are no more


class VideoFile:
    """A camera's recording; see ``pipeline.sources._stream.Stream``.

    Decoding continues after damage: a frame that the decoder rejects or marks as corrupt is lost,
    and later frames keep their numbers. Losses that the decoder doesn't report are found at the
    end: packets without a frame, and a file that ends before its stated duration.

    Attributes:
        rate: Frames per second by ``times``, else by the frames' own times or the file's header.
        frames: Number of frames by the file's header, 0 if it isn't stated.
        info: Start and end of the file, and warnings.
    """

    def __init__(
        self,
        path: Path,
        pixel_format: PixelFormat,
        *,
        times: Path | None = None,
        track: int | None = None,
        convert: Callable[[Image], Image] | None = None,
        checks: Plausibility | None = None,
    ) -> None:
        """Open the file.

        Args:
            path: Any container that FFmpeg reads.
            pixel_format: "gray", for infrared, gives HW uint8, or HW uint16 of frames with more
                than 8 bit.
            times: CSV file with the frames' times; see ``pipeline.sources._timestamps``.
            track: Which of several video tracks, from 0; None for the best.
            convert: Applied to every image, in order.
            checks: Receives some of the frames in colour.

        Raises:
            DataError: The file is missing or holds no video, or its times are wrong.
        """
        self._path, self._format, self._convert, self._checks = path, pixel_format, convert, checks
        self._modality: Modality = "ir" if pixel_format == "gray" else "vis"
        self._times_path = times
        self._times = None if times is None else video_times(times)
        self._container = open_video(path)
        try:
            self._stream, note = choose_stream(
                self._container, path, track, f"source.{self._modality}_track"
            )
            # Frame threads report a lost frame late, which would assign listed times wrongly.
            self._stream.thread_type = "AUTO" if times is None else "SLICE"
            self.frames: int = self._stream.frames
            self._begin()
            self._check_times()
        except BaseException:
            self.close()
            raise
        self.info = replace(self._info(note), bits=bits(self._stream))
        self._count = self._packets = self._end_ns = 0
        self._damage = ""

    def key(self, index: int) -> str:
        """The number of the frame, `000012`."""
        return f"{index:06d}"

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _begin(self) -> None:
        """Read the first packets and estimate the rate."""
        self._rest = packets(self._container, self._stream)
        self._first: list[Packet[VideoStream]] = []
        self._broken: OSError | av.FFmpegError | None = None
        try:
            self._first.extend(islice(self._rest, FIRST))
        except (OSError, av.FFmpegError) as error:
            self._broken = error  # raised when reading gets there
        self._own = VideoTimes(self._container, self._stream, self._first)
        listed = typical_rate(self._times) if self._times else None
        self.rate: Fraction = listed or self._own.rate

    def _check_times(self) -> None:
        if self._times and 0 < self.frames < len(self._times):
            raise DataError(
                f"{self._times_path}, line {self.frames + 2}: frame {self.frames} is not in "
                f"{self._path}, which has {self.frames} frames; are the times of another recording?"
            )

    def _info(self, note: str) -> RecordingInfo:
        notes = [note] if note else []
        if self._times is not None:
            return RecordingInfo(0, (self._times[0], self._times[-1]), tuple(notes))
        own = self._own
        if not own.stamped:
            why = "as its stream says" if own.named else "FFmpeg's guess, for it names no rate"
            notes.append(
                f"{self._path}: has no time stamps; {float(own.rate):g} frames a second are "
                f"assumed ({why}); where that is wrong, pairs are wrong: list the true times with "
                f"source.{self._modality}_times=FILE.csv"
            )
            return RecordingInfo(0, None, tuple(notes))
        end = self._length_ns()
        span = (own.start_ns, end) if end > own.start_ns else None
        return RecordingInfo(own.start_ns, span, tuple(notes))

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
        """The packets, then None, which flushes the decoder."""
        try:
            yield from self._first
            if self._broken is not None:
                raise self._broken
            yield from self._rest
        except (OSError, av.FFmpegError) as error:
            self._damage = f"cannot be read to its end ({error.strerror})"
        yield None

    def _decode(self, packet: _Packet) -> Iterator[Frame | Lost]:
        """The frames decoded from a packet; their index is the current ``_count``."""
        if packet is not None:
            self._own.fed(packet)
        try:
            frames = self._stream.decode(packet)
        except av.FFmpegError as error:
            yield self._lost(error.strerror)
            return
        for frame in frames:
            yield self._lost("corrupt") if frame.is_corrupt else self._frame(frame)

    def _lost(self, why: str | None) -> Lost:
        self._own.lost()
        return Lost(self._count, f"{self._path}: frame {self._count} is damaged ({why})")

    def _frame(self, frame: VideoFrame) -> Frame:
        try:
            image = to_image(frame, self._format)
            checked = self._checks is not None and self._count % CHECK_EVERY == 0
            small = thumbnail(frame) if checked else None
        except DataError as error:
            raise DataError(f"{self._path}: {error}") from error
        if self._checks is not None and small is not None:
            self._checks.check(self._modality, small, self._path)
        time, duration = self._own.next(frame)
        self._end_ns = time + duration
        if self._times is not None:
            time = self._listed_ns(self._times)
        return Frame(self._convert(image) if self._convert else image, time, self._count)

    def _listed_ns(self, times: list[int]) -> int:
        if self._count >= len(times):
            raise DataError(
                f"{self._times_path}, line {len(times) + 1}: ends with frame {len(times) - 1}, but "
                f"{self._path} goes on; list every frame"
            )
        return times[self._count]

    def _shortage(self) -> str:
        """Which frames are missing by the file's own statements; empty if none."""
        if self._times is not None and self._count < len(self._times):
            return (
                f"has {self._count} frames, {self._times_path} lists {len(self._times)}; times "
                "after a damaged place may be those of other frames"
            )
        if self._count < self._packets:
            return f"{self._packets - self._count} of {self._packets} packets gave no picture"
        length = self._length_ns() - self._own.start_ns
        stamped = self._times is None and self._own.stamped
        if stamped and self._end_ns + int(SECOND / self.rate) < length:
            return f"ends at {self._end_ns / SECOND:.2f} s of {length / SECOND:.2f} s"
        if self._count < self.frames:
            # not an error: an edit list may hide frames that the header counts
            log.warning("%s: %d of %d frames were shown", self._path, self._count, self.frames)
        return ""

    def _length_ns(self) -> int:
        """The end of the video by the file's header, nanoseconds; 0 if it isn't stated."""
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            return int(((stream.start_time or 0) + stream.duration) * stream.time_base * SECOND)
        if container.duration is not None and len(container.streams) == 1:  # else sound may last
            # Matroska's duration counts from 0, not from the first frame
            start = 0 if "matroska" in container.format.name else container.start_time or 0
            return (start + container.duration) * SECOND // av.time_base
        return 0


def packets(container: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """The non-empty packets in the order of the file.

    Raises:
        OSError: Reading failed; so does FFmpegError.
    """
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except IndexError as error:  # of PyAV, if damage looks like the start of a new stream
        raise OSError(None, "another stream begins in the middle") from error
