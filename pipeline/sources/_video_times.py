"""When the frames of a video file were taken, as far as the file tells."""

from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from math import floor

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.sources._timestamps import SECOND, typical_rate

PLACEHOLDER = Fraction(25)  # FFmpeg's for a stream that names no rate
NO_TIMESTAMPS = 0x80  # AVFMT_NOTIMESTAMPS: what such a format gives are placeholders
NEAR = Fraction(1, 20)  # a stated rate is believed where the frames' own is this near


class VideoTimes:
    """Times of a file's frames from its start, in the order of presentation.

    Attributes:
        stamped: Whether the file has times at all; without, frames are counted at ``rate``.
        rate: Frames per second: as stated where the first packets' times agree, else as these say.
        named: Whether a rate was named anywhere, True where ``stamped``.
        start_ns: The file's start on its own clock, nanoseconds.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        first: "Sequence[Packet[VideoStream]]",
    ) -> None:
        """Look at the first packets of a stream that was just opened."""
        self._unit = stream.time_base or Fraction(1, SECOND)
        # AVI has no times of presentation, and where FFmpeg guesses others than those of decoding
        # they are wrong: the n-th frame that is shown has the n-th time of decoding.
        self._counts_packets = "avi" in container.format.name and any(
            packet.pts != packet.dts for packet in first
        )
        self._decoding: deque[int] = deque()
        own = sorted(time for packet in first if (time := self._packet_time(packet)) is not None)
        self.stamped = bool(own) and not container.format.flags & NO_TIMESTAMPS
        coded = stream.codec_context.framerate
        if self.stamped:
            stated = Fraction(stream.average_rate or stream.guessed_rate or PLACEHOLDER)
            seen = typical_rate([floor(time * self._unit * SECOND) for time in own])
            self.named = True
            self.rate = stated if seen is None or _near(seen, stated) else seen
            start = stream.start_time if stream.start_time is not None else own[0]
            self.start_ns = 0 if self._counts_packets else floor(start * self._unit * SECOND)
        else:
            self.named = bool(coded)
            self.rate = Fraction(stream.guessed_rate or coded or PLACEHOLDER)
            self.start_ns = 0
        self._count = 0
        self._last_ns: int | None = None

    def fed(self, packet: "Packet[VideoStream]") -> None:
        """Note a packet that goes to the decoder."""
        if self._counts_packets and packet.dts is not None:
            self._decoding.append(packet.dts)

    def lost(self) -> None:
        """Note that the next frame can't be shown."""
        self._count += 1
        if self._decoding:
            self._decoding.popleft()

    def next(self, frame: VideoFrame) -> tuple[int, int]:
        """Time from the file's start and duration of the next frame, nanoseconds.

        A frame without a time follows the one before it.
        """
        usual = int(SECOND / self.rate)
        pts = frame.pts
        if self._counts_packets:
            pts = self._decoding.popleft() if self._decoding else None
        if not self.stamped:
            time, usual = int(self._count * SECOND / self.rate), usual
        elif pts is not None:
            time = floor(pts * self._unit * SECOND) - self.start_ns
            usual = int((frame.duration or 0) * self._unit * SECOND) or usual
        else:
            time = 0 if self._last_ns is None else self._last_ns + usual
        self._count += 1
        self._last_ns = time
        return time, usual

    def _packet_time(self, packet: "Packet[VideoStream]") -> int | None:
        return packet.dts if self._counts_packets else packet.pts


def _near(seen: Fraction, stated: Fraction) -> bool:
    return abs(seen - stated) <= NEAR * stated
