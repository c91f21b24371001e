"""Pairing two recordings by presentation time, in one pass and constant memory."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

from common.modality import MODALITIES, OTHER, Modality
from pipeline.frames import Frame
from pipeline.sync.clock_model import ClockModel, Skew
from pipeline.sync.viterbi import Matching, Timed

LOOK_AHEAD = 64  # frames of a stream held undecided, at most
REORDER = 8  # by how many later frames a frame may be overtaken and still be sorted

Match = tuple[Frame | None, Frame | None]  # infrared, visible


def pair_by_time(ir: Iterable[Frame], vis: Iterable[Frame], matcher: "Matcher") -> Iterator[Match]:
    """Match the frames of two streams.

    Reads the next frame from the stream that is behind in time, so neither is read further ahead
    than by one frame and the reorder window.

    Args:
        ir: Infrared frames.
        vis: Visible frames.
        matcher: A new one; says which frames are matched, and in which order they come.

    Yields:
        (ir, vis); None in place of a missing partner.
    """
    streams: dict[Modality, Iterator[Frame]] = {"ir": iter(ir), "vis": iter(vis)}
    while behind := matcher.behind:
        frame = next(streams[behind], None)
        yield from matcher.end(behind) if frame is None else matcher.push(behind, frame)


@dataclass(slots=True, eq=False)
class _Stream:
    """The frames of a stream that ``Matching`` has not received yet.

    Attributes:
        arriving: Heap of (time, number, frame): the reorder window.
        queue: Frames that left the window, in order of time.
        floor: No frame before this time is waited for; infinite at the end.
    """

    arriving: list[tuple[int, int, Frame]] = field(default_factory=list)
    arrived: int = 0
    queue: deque[Timed] = field(default_factory=deque)
    floor: float = -inf

    @property
    def earliest(self) -> float:
        """No later frame of this stream is before this time."""
        return self.queue[0][0] if self.queue else self.floor


class Matcher:
    """Matches two streams frame by frame; each frame is used once and order is kept.

    Among all matchings whose pairs differ by at most the tolerance, it finds one with the most
    pairs, among those one with the least total difference, and among equal ones the one that leaves
    out the latest frame (the visible one of two at the same time). A match is returned as soon as
    no later frame can change it. No decision depends on frames beyond a gap longer than the
    tolerance, so usually that is one frame later.

    If more than ``look_ahead`` frames of a stream are undecided (the tolerance spans many frames,
    two matchings stay equally good, a live camera has stopped), a decision is forced: the older
    half is matched in the best way so far, and frames before that time are no longer waited for.
    All of the above still holds, except that the matching may not be the best.

    Frames are returned in order of time, pairs by the earlier of their two. A frame that was
    overtaken by more than ``reorder`` others of its stream, or that comes after a forced decision,
    is returned at once without a partner; earlier undecided frames of its stream are decided first.
    """

    def __init__(
        self,
        tolerance_ns: int,
        *,
        clock: ClockModel | None = None,
        skew: Skew | None = None,
        look_ahead: int = LOOK_AHEAD,
        reorder: int = REORDER,
    ) -> None:
        """Begin.

        Args:
            tolerance_ns: Largest time difference within a pair, nanoseconds.
            clock: Converts infrared times to the visible clock; None leaves them unchanged.
            skew: Receives the time difference of every pair.
            look_ahead: Frames of a stream held undecided, at most; at least 1.
            reorder: By how many later frames a frame may be overtaken and still be sorted.
        """
        self._look_ahead, self._reorder = look_ahead, reorder
        self._clock, self._skew = clock or ClockModel(), skew or Skew()
        self._first_ns: int | None = None
        self._streams: dict[Modality, _Stream] = {"ir": _Stream(), "vis": _Stream()}
        self._matching = Matching(tolerance_ns, look_ahead)

    @property
    def behind(self) -> Modality | None:
        """The stream to read next; None after the end of both."""
        ir, vis = self._streams["ir"], self._streams["vis"]
        if ir.floor == vis.floor == inf:
            return None
        return "ir" if ir.floor <= vis.floor else "vis"

    def push(self, modality: Modality, frame: Frame) -> list[Match]:
        """Take the next frame of a stream.

        Returns:
            The matches that became final.

        Raises:
            ValueError: The frame has no time.
        """
        time, stream = self._time(modality, frame), self._streams[modality]
        heapq.heappush(stream.arriving, (time, stream.arrived, frame))
        stream.arrived += 1
        return self._release(modality) if len(stream.arriving) > self._reorder else []

    def end(self, modality: Modality) -> list[Match]:
        """Take the end of a stream; returns the same as ``push``."""
        stream = self._streams[modality]
        matches = []
        while stream.arriving:
            matches += self._release(modality)
        stream.floor = inf
        return matches + self._advance()

    def _time(self, modality: Modality, frame: Frame) -> int:
        """The frame's time on the visible clock."""
        if frame.timestamp_ns is None:
            raise ValueError(f"frame {frame.index} has no time to be paired by")
        if modality == "vis":
            return frame.timestamp_ns
        if self._first_ns is None:
            self._first_ns = frame.timestamp_ns
        return self._clock.on_visible(frame.timestamp_ns, self._first_ns)

    def _release(self, modality: Modality) -> list[Match]:
        """Move the earliest frame out of the reorder window."""
        stream = self._streams[modality]
        time, _, frame = heapq.heappop(stream.arriving)
        if time < stream.floor:
            self._matching.decide(modality, time)  # keeps the order of the stream
            return [*self._settled(), (frame, None) if modality == "ir" else (None, frame)]
        stream.floor = time
        stream.queue.append((time, frame))
        return self._advance()

    def _advance(self) -> list[Match]:
        """Pass the frames that are next in time to the matching; the matches that became final."""
        final: list[Match] = []
        modality = self._next()
        while True:
            if modality is not None:
                self._matching.add(modality, self._streams[modality].queue.popleft())
            final += self._settled()
            modality = self._next()
            if modality is None:
                return final

    def _settled(self) -> list[Match]:
        """The matches that became final since the last call."""
        earliest = {modality: stream.earliest for modality, stream in self._streams.items()}
        return [self._match(*match) for match in self._matching.settle(earliest)]

    def _next(self) -> Modality | None:
        """The stream with the next frame in time; None if an earlier one may still arrive."""
        ir, vis = self._streams["ir"], self._streams["vis"]
        if ir.queue and ir.queue[0][0] <= vis.earliest:
            return "ir"
        if vis.queue and vis.queue[0][0] < ir.earliest:
            return "vis"
        for modality in MODALITIES:
            queue = self._streams[modality].queue
            if queue and len(queue) + self._matching.held(modality) > self._look_ahead:
                other = self._streams[OTHER[modality]]
                other.floor = max(other.floor, queue[0][0])  # no longer waited for
                return modality
        return None

    def _match(self, ir: Timed | None, vis: Timed | None) -> Match:
        if ir is not None and vis is not None:
            self._skew.add(vis[0] - ir[0])
        return ir and ir[1], vis and vis[1]
