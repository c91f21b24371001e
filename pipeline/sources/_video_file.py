"""The frames of a video file, and what damage took of them."""

import logging
from collections.abc import Callable, Iterator
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
from pipeline.frames import Frame, Image, Modality
from pipeline.sources._looks import Looks
from pipeline.sources._stream import LOOK_EVERY, About, Lost
from pipeline.sources._timestamps import SECOND, typical_rate, video_times
from pipeline.sources._video_image import PixelFormat, thumbnail, to_image
from pipeline.sources._video_open import choose_stream, open_video
from pipeline.sources._video_times import VideoTimes

log = logging.getLogger(__name__)
FIRST = 48  # packets that are read before the first is decoded, for the rate that they show
_Packet: TypeAlias = "Packet[VideoStream] | None"  # None: there are no more


class VideoFile:
    """A camera's recording; see ``pipeline.sources._recordings.Stream``.

    Decoding goes on after damage: a frame that the decoder gives up or calls corrupt is lost, and
    those after it keep their numbers. What was lost without a word is said at the end: packets
    without a picture, and a file that ends before the time that it names.

    Attributes:
        rate: Frames per second by ``times``, else by the frames' own times or as the file says it.
        frames: Number of frames as the file says it, 0 where it doesn't.
        about: When the file starts and ends, and what the user should know of it.
    """

    def __init__(
        self,
        path: Path,
        pixel_format: PixelFormat,
        *,
        times: Path | None = None,
        track: int | None = None,
        convert: Callable[[Image], Image] | None = None,
        looks: Looks | None = None,
    ) -> None:
        """Open the file.

        Args:
            path: Any container that FFmpeg reads.
            pixel_format: "gray", for infrared, gives HW uint8, or HW uint16 of frames with more
                than 8 bit.
            times: CSV file with the frames' times; see ``pipeline.sources._timestamps``.
            track: Which of several video tracks, from 0; None for the best.
            convert: What every image goes through, in order.
            looks: Is shown some of the frames in colour.

        Raises:
            DataError: The file is missing or holds no video, or its times are wrong.
        """
        self._path, self._format, self._convert, self._looks = path, pixel_format, convert, looks
        self._camera: Modality = "ir" if pixel_format == "gray" else "vis"
        self._times_path = times
        self._times = None if times is None else video_times(times)
        self._container = open_video(path)
        try:
            self._stream, note = choose_stream(
                self._container, path, track, f"source.{self._camera}_track"
            )
            # Frame threads tell of a lost frame some frames late: a row's time would be another's
            self._stream.thread_type = "AUTO" if times is None else "SLICE"
            self.frames: int = self._stream.frames
            self._begin()
            self._check_times()
        except BaseException:
            self.close()
            raise
        self.about = self._about(note)
        self._count = self._packets = self._end_ns = 0
        self._damage = ""

    def key(self, index: int) -> str:
        """The number of the frame, `000012`."""
        return f"{index:06d}"

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _begin(self) -> None:
        """Read the first packets, which show the rate."""
        self._rest = packets(self._container, self._stream)
        self._first: list[Packet[VideoStream]] = []
        self._broken: OSError | av.FFmpegError | None = None
        try:
            self._first.extend(islice(self._rest, FIRST))
        except (OSError, av.FFmpegError) as error:
            self._broken = error  # told when its place is reached
        self._own = VideoTimes(self._container, self._stream, self._first)
        listed = typical_rate(self._times) if self._times else None
        self.rate: Fraction = listed or self._own.rate

    def _check_times(self) -> None:
        if self._times and 0 < self.frames < len(self._times):
            raise DataError(
                f"{self._times_path}, line {self.frames + 2}: frame {self.frames} is not in "
                f"{self._path}, which has {self.frames} frames; are the times of another recording?"
            )

    def _about(self, note: str) -> About:
        notes = [note] if note else []
        if self._times is not None:
            return About(0, (self._times[0], self._times[-1]), tuple(notes))
        own, camera = self._own, self._camera
        if not own.stamped:
            why = "as its stream says" if own.named else "FFmpeg's guess, for it names no rate"
            notes.append(
                f"{self._path}: has no time stamps; {float(own.rate):g} frames a second are "
                f"assumed ({why}); where that is wrong, pairs are wrong: list the true times with "
                f"source.{camera}_times=FILE.csv"
            )
            return About(0, None, tuple(notes))
        end = self._length_ns()
        span = (own.start_ns, end) if end > own.start_ns else None
        return About(own.start_ns, span, tuple(notes))

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
            yield from self._first
            if self._broken is not None:
                raise self._broken
            yield from self._rest
        except (OSError, av.FFmpegError) as error:
            self._damage = f"cannot be read to its end ({error.strerror})"
        yield None

    def _decode(self, packet: _Packet) -> Iterator[Frame | Lost]:
        """The frames that come out with a packet; their index is ``_count`` at that moment."""
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
        except DataError as error:
            raise DataError(f"{self._path}: {error}") from error
        if self._looks is not None and self._count % LOOK_EVERY == 0:
            self._looks.see(self._camera, thumbnail(frame), self._path)
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
        """What the file promised and didn't give; empty where nothing."""
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
            # no fault by itself: an edit list may hide frames that the file counts
            log.warning("%s: %d of %d frames were shown", self._path, self._count, self.frames)
        return ""

    def _length_ns(self) -> int:
        """When the video ends as the file says it, 0 where it doesn't."""
        stream, container = self._stream, self._container
        if stream.duration is not None and stream.time_base is not None:
            return int(((stream.start_time or 0) + stream.duration) * stream.time_base * SECOND)
        if container.duration is not None and len(container.streams) == 1:  # no longer sound
            # Matroska's duration counts from 0, wherever the first frame is
            start = 0 if "matroska" in container.format.name else container.start_time or 0
            return (start + container.duration) * SECOND // av.time_base
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
