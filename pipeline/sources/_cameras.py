"""Live cameras: each read in its own thread into a bounded buffer, and connected again when lost.

A frame's time is when its data arrived, on the monotonic clock of this machine, since the cameras
were started: the times that two cameras send count from moments of their own and can't be compared.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import av

from common.errors import DataError, mask
from pipeline.frames import Frame, Image
from pipeline.sources._stream import Lost
from pipeline.sources._video_file import packets
from pipeline.sources._video_image import PixelFormat, to_image
from pipeline.sources._video_open import best_of, recordings

log = logging.getLogger(__name__)
Policy = Literal["block", "drop_oldest", "drop_newest"]
# What a camera gives: arrival in nanoseconds, and the image or why it is damaged.
Arrival = tuple[int, Image | str]

SECOND = 1_000_000_000  # in nanoseconds
FIRST_DELAY, LONGEST_DELAY = 0.5, 8.0  # seconds between attempts to connect


class Clock:
    """The machine's monotonic clock."""

    def now(self) -> int:
        """Nanoseconds."""
        return time.monotonic_ns()

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Until the time is over or ``stop`` is set; not at all for less than no time."""
        stop.wait(max(0.0, seconds))


# Connects to an address and gives what arrives, with times of the clock, until the stream ends or
# the event is set. OSError and FFmpegError: the connection failed or was lost.
Opener = Callable[[str, Clock, threading.Event], Generator[Arrival, None, None]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How all cameras of a source are read.

    Attributes:
        policy: What a full buffer does with the next frame.
        length: Frames that a buffer holds.
        reconnect_s: Seconds without a connection after which a camera counts as stopped.
        duration_s: Seconds after which no more frames are taken; None for no limit.
    """

    policy: Policy
    length: int
    reconnect_s: float
    duration_s: float | None


@dataclass(eq=False)
class Buffer:
    """What a camera's thread and its consumer share; to be touched with ``changed`` held.

    Attributes:
        changed: Shared by all cameras of a source.
        frames: Waiting for the consumer, at most ``Reading.length``.
        dropped: Index of each frame that found or made no room, in order.
        lost: Damaged frames, and at last why the camera stopped before its time.
        ended: There are no more frames to come.
        error: Ended the thread; the consumer's to raise.
    """

    changed: threading.Condition
    frames: deque[Frame] = field(default_factory=deque)
    dropped: deque[int] = field(default_factory=deque)
    lost: deque[Lost] = field(default_factory=deque)
    ended: bool = False
    error: BaseException | None = None


class Camera:
    """One camera and the thread that reads it."""

    def __init__(
        self,
        name: str,
        address: str,
        reading: Reading,
        *,
        opener: Opener,
        convert: Callable[[Image], Image] | None,
        changed: threading.Condition,
        clock: Clock,
        ends: bool,
    ) -> None:
        """Prepare; ``start`` connects.

        Args:
            name: For messages and the thread.
            address: URL, device or file.
            reading: How to read it.
            opener: Connects.
            convert: What every image goes through, in order.
            changed: Told of all that happens.
            clock: Gives the times.
            ends: Whether an end of the stream is the end, as of a file; else it is a lost
                connection.
        """
        self.buffer = Buffer(changed)
        self._name, self._shown, self._address = name, mask(address), address
        self._reading, self._opener, self._convert = reading, opener, convert
        self._clock, self._ends = clock, ends
        self._stop = threading.Event()
        self._start = self._index = 0
        self._thread = threading.Thread(target=self._run, name=f"camera {name}")

    def start(self, now: int) -> None:
        """Connect and read from now on; times are given from this moment, in nanoseconds."""
        self._start = now
        self._thread.start()

    def stop(self) -> None:
        """Take no more frames; returns at once."""
        with self.buffer.changed:
            self._stop.set()
            self.buffer.changed.notify_all()

    def join(self) -> None:
        """Wait for the end of the thread: at most the time limit of a read after ``stop``."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        """What the thread does."""
        error: BaseException | None = None
        try:
            self._read()
        except BaseException as caught:  # noqa: BLE001 -- it is the consumer's to handle
            error = caught
        with self.buffer.changed:
            self.buffer.error = error
            self.buffer.ended = True
            self.buffer.changed.notify_all()

    def _read(self) -> None:
        since, delay, connected = self._clock.now(), FIRST_DELAY, False
        while not self._over(self._clock.now()):
            why = "the stream ended"
            try:
                with closing(self._opener(self._address, self._clock, self._stop)) as arrivals:
                    for arrival, image in arrivals:
                        since, delay, connected = arrival, FIRST_DELAY, True
                        if self._over(arrival):
                            return
                        self._take(arrival, image)
                if self._ends:
                    return
            except (OSError, av.FFmpegError) as error:
                why = mask(error.strerror or type(error).__name__)  # its full text has the address
            without = (self._clock.now() - since) / SECOND
            if without + delay > self._reading.reconnect_s:
                self._give_up(why, connected)
                return
            log.warning("%s: %s; connecting again in %.1f s", self._shown, why, delay)
            self._clock.sleep(delay, self._stop)
            delay = min(2 * delay, LONGEST_DELAY)

    def _over(self, now: int) -> bool:
        limit = self._reading.duration_s
        return self._stop.is_set() or (
            limit is not None and now - self._start >= round(limit * SECOND)
        )

    def _give_up(self, why: str, connected: bool) -> None:
        waited = f"no connection within {self._reading.reconnect_s:g} s ({why})"
        if not connected:
            raise DataError(
                f"source.{self._name}: {self._shown}: {waited}; check the address, or that no "
                "other program uses the camera"
            )
        log.warning("%s: %s; the run goes on without it", self._shown, waited)
        with self.buffer.changed:
            self.buffer.lost.append(Lost(None, f"{self._shown}: stopped, {waited}"))

    def _take(self, arrival: int, image: Image | str) -> None:
        """Put what arrived into the buffer, as the policy says."""
        if not isinstance(image, str) and self._convert is not None:
            image = self._convert(image)
        buffer, policy = self.buffer, self._reading.policy
        with buffer.changed:
            index = self._index
            self._index += 1
            if isinstance(image, str):
                buffer.lost.append(
                    Lost(index, f"{self._shown}: frame {index} is damaged ({image})")
                )
            else:
                while policy == "block" and self._full() and not self._stop.is_set():
                    buffer.changed.wait()
                if not self._full():
                    buffer.frames.append(Frame(image, arrival - self._start, index))
                elif policy == "drop_oldest":
                    buffer.dropped.append(buffer.frames.popleft().index)
                    buffer.frames.append(Frame(image, arrival - self._start, index))
                else:
                    buffer.dropped.append(index)
            buffer.changed.notify_all()

    def _full(self) -> bool:
        return len(self.buffer.frames) >= self._reading.length


def open_camera(pixel_format: PixelFormat, timeout_s: float, *, realtime: bool) -> Opener:
    """What connects to cameras of FFmpeg's kinds: URLs, V4L2 devices, and files.

    Args:
        pixel_format: "gray" or "rgb24"; see ``VideoFile``.
        timeout_s: Seconds that connecting, or the next data, may take.
        realtime: Play as fast as the times of the stream say; for files.
    """

    def opener(address: str, clock: Clock, stop: threading.Event) -> Generator[Arrival, None, None]:
        options = {"analyzeduration": "1000000"}  # microseconds
        if not realtime:
            options["fflags"] = "nobuffer"  # what came while it was analysed would all come at once
        if address.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # UDP loses parts of pictures
        device = "v4l2" if address.startswith("/dev/") else None
        with av.open(
            address,
            format=device,
            options=options,
            timeout=timeout_s,
            metadata_errors="replace",
        ) as container:
            tracks = recordings(container)
            if not tracks:
                raise OSError(None, "has no video stream")
            stream = best_of(tracks)
            stream.thread_type = "SLICE"  # frame threads would hold frames back
            begin = clock.now()
            first: float | None = None
            for packet in chain(packets(container, stream), (None,)):  # None: what is held back
                if realtime and packet and packet.pts is not None and packet.time_base is not None:
                    seconds = float(packet.pts * packet.time_base)
                    first = seconds if first is None else first
                    clock.sleep(seconds - first - (clock.now() - begin) / SECOND, stop)
                arrival = clock.now()
                try:
                    frames = stream.decode(packet)
                except av.InvalidDataError as error:
                    yield arrival, error.strerror or "invalid data"
                    continue
                for frame in frames:
                    yield arrival, "corrupt" if frame.is_corrupt else to_image(frame, pixel_format)

    return opener
