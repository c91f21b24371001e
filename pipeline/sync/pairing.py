"""Pairing two recordings by presentation time, in one pass and constant memory."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf, sqrt
from typing import Any

from pipeline.frames import Frame, Modality
from pipeline.sync.matching import Matching, Timed

LOOK_AHEAD = 64  # frames held of a stream, at most, for the sake of a better matching
REORDER = 8  # frames that may overtake one that comes out of order

Match = tuple[Frame | None, Frame | None]
_SIDES: dict[Modality, int] = {"ir": 0, "vis": 1}


@dataclass(frozen=True, slots=True)
class ClockModel:
    """How the infrared camera's clock stands to the visible one's.

    Attributes:
        offset_ns: What to add to an infrared time, nanoseconds.
        drift_ppm: How much faster the visible clock runs, parts per million; over -1,000,000.
    """

    offset_ns: int = 0
    drift_ppm: float = 0.0

    def __post_init__(self) -> None:
        if not -1e6 < self.drift_ppm < inf:
            raise ValueError(f"a drift of {self.drift_ppm} ppm would turn time back")

    def on_visible(self, time_ns: int, first_ns: int) -> int:
        """An infrared time on the visible clock: t + offset + drift·10⁻⁶·(t − first).

        Args:
            time_ns: Time on the infrared clock.
            first_ns: Of the first infrared frame, from which on the drift counts.
        """
        drifted = round(self.drift_ppm * 1e-6 * (time_ns - first_ns))
        return time_ns + self.offset_ns + drifted


@dataclass(slots=True)
class Skew:
    """Visible less corrected infrared time over the pairs of a run, in constant memory.

    The sums are whole numbers without limit, so nothing is lost however long the run.
    """

    count: int = 0
    least_ns: int = 0
    greatest_ns: int = 0
    _sum: int = 0
    _squares: int = 0

    def add(self, difference_ns: int) -> None:
        """Count a pair."""
        first = self.count == 0
        self.least_ns = difference_ns if first else min(self.least_ns, difference_ns)
        self.greatest_ns = difference_ns if first else max(self.greatest_ns, difference_ns)
        self.count += 1
        self._sum += difference_ns
        self._squares += difference_ns**2

    def as_dict(self) -> dict[str, int | float | None]:
        """Pairs, and in milliseconds mean, standard deviation (of these pairs), least, greatest.

        None in place of the times where there was no pair.
        """
        names = ("mean_ms", "std_ms", "min_ms", "max_ms")
        if not self.count:
            return {"pairs": 0, **dict.fromkeys(names)}
        mean = self._sum / self.count
        std = sqrt(self.count * self._squares - self._sum**2) / self.count
        values = (mean, std, self.least_ns, self.greatest_ns)
        return {"pairs": self.count, **{n: v / 1e6 for n, v in zip(names, values, strict=True)}}


def pair_by_time(
    ir: Iterable[Frame],
    vis: Iterable[Frame],
    *,
    tolerance_ns: int,
    clock: ClockModel | None = None,
    skew: Skew | None = None,
    look_ahead: int = LOOK_AHEAD,
    reorder: int = REORDER,
) -> Iterator[Match]:
    """Match the frames of two streams; see ``Matcher`` for what is found and in which order.

    The next frame is taken of the stream that is behind in time, so neither is read further than
    the matching needs: past the other by one frame and the reorder window.

    Args:
        ir: Infrared frames.
        vis: Visible frames.
        tolerance_ns: Largest difference inside a pair, nanoseconds.
        clock: Brings infrared times onto the visible clock; as they are without.
        skew: Is given the difference of every pair.
        look_ahead: Frames held of a stream, at most, at least 1.
        reorder: Frames that may overtake one that comes out of order.

    Yields:
        (ir, vis); None on one side where a frame has no partner.
    """
    streams: dict[Modality, Iterator[Frame]] = {"ir": iter(ir), "vis": iter(vis)}
    matcher = Matcher(tolerance_ns, clock=clock, skew=skew, look_ahead=look_ahead, reorder=reorder)
    while behind := matcher.behind:
        frame = next(streams[behind], None)
        yield from matcher.end(behind) if frame is None else matcher.push(behind, frame)


@dataclass(slots=True, eq=False)
class _Stream:
    """The frames of a stream that the matching has not met.

    Attributes:
        arriving: Heap of (time, number, frame): the reorder window.
        queue: Frames that left it, in order of time.
        floor: No frame before this time is waited for; infinite at the end.
    """

    arriving: list[tuple[int, int, Frame]] = field(default_factory=list)
    arrived: int = 0
    queue: deque[Timed] = field(default_factory=deque)
    floor: float = -inf

    @property
    def earliest(self) -> float:
        """No frame that is still to come is before this time."""
        return self.queue[0][0] if self.queue else self.floor


class Matcher:
    """Matches two streams as their frames come: each frame once, the order of both kept.

    Of all matchings whose pairs differ by at most the tolerance it finds one with the most pairs,
    of those one with the least total difference, and of equal ones that which leaves out the latest
    frame (of two at one time the visible one). A match comes out as soon as no frame to come can
    change it; none reaches over a gap longer than the tolerance, so mostly that is one frame later.

    Only where more than ``look_ahead`` frames of a stream are undecided (the tolerance spans many
    frames, the time between two ways to match stays even, a live camera has stopped) a decision is
    forced: the older half is matched in the way that is best so far, and what is before the time
    that was reached is no longer waited for. All of the above still holds then, except that the
    matching may not be the best.

    Frames come out in order of time, pairs by the earlier of their two. A frame that was overtaken
    by more than ``reorder`` others of its stream, or that comes after what was forced, comes out
    at once and without a partner; what is being matched of its stream from before it is decided
    first.
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
        """Arguments as those of ``pair_by_time``."""
        self._look_ahead, self._reorder = look_ahead, reorder
        self._clock, self._skew = clock or ClockModel(), skew or Skew()
        self._first_ns: int | None = None
        self._streams = (_Stream(), _Stream())  # infrared, visible
        self._matching = Matching(tolerance_ns, look_ahead)

    @property
    def behind(self) -> Modality | None:
        """The stream whose next frame is wanted first; None after the end of both."""
        ir, vis = self._streams
        if ir.floor == vis.floor == inf:
            return None
        return "ir" if ir.floor <= vis.floor else "vis"

    def push(self, modality: Modality, frame: Frame) -> list[Match]:
        """Take the next frame of a stream.

        Returns:
            What is final now and was not before.

        Raises:
            ValueError: The frame has no time.
        """
        time, side = self._time(modality, frame), _SIDES[modality]
        stream = self._streams[side]
        heapq.heappush(stream.arriving, (time, stream.arrived, frame))
        stream.arrived += 1
        return self._release(side) if len(stream.arriving) > self._reorder else []

    def end(self, modality: Modality) -> list[Match]:
        """A stream has no more frames; returns as ``push``."""
        side = _SIDES[modality]
        stream = self._streams[side]
        matches = []
        while stream.arriving:
            matches += self._release(side)
        stream.floor = inf
        return matches + self._advance()

    def _time(self, modality: Modality, frame: Frame) -> int:
        """On the visible clock."""
        if frame.timestamp_ns is None:
            raise ValueError(f"frame {frame.index} has no time to be paired by")
        if modality == "vis":
            return frame.timestamp_ns
        if self._first_ns is None:
            self._first_ns = frame.timestamp_ns
        return self._clock.on_visible(frame.timestamp_ns, self._first_ns)

    def _release(self, side: int) -> list[Match]:
        """The earliest frame leaves the reorder window."""
        stream = self._streams[side]
        time, _, frame = heapq.heappop(stream.arriving)
        if time < stream.floor:
            self._matching.decide(side, time)  # else frames before this one would come out after it
            return [*self._settled(), (frame, None) if side == 0 else (None, frame)]
        stream.floor = time
        stream.queue.append((time, frame))
        return self._advance()

    def _advance(self) -> list[Match]:
        """Hand the frames that are next in time to the matching, and take what is final."""
        final: list[Match] = []
        side = self._next()
        while True:
            if side is not None:
                self._matching.add(side, self._streams[side].queue.popleft())
            final += self._settled()
            side = self._next()
            if side is None:
                return final

    def _settled(self) -> list[Match]:
        """What the matching has decided since the last call."""
        ir, vis = self._streams
        return [self._match(*match) for match in self._matching.settle((ir.earliest, vis.earliest))]

    def _next(self) -> int | None:
        """Whose frame is next in time; None where one that is still to come may be."""
        ir, vis = self._streams
        if ir.queue and ir.queue[0][0] <= vis.earliest:
            return 0
        if vis.queue and vis.queue[0][0] < ir.earliest:
            return 1
        for side, stream in enumerate(self._streams):
            if stream.queue and len(stream.queue) + self._matching.held(side) > self._look_ahead:
                other = self._streams[1 - side]
                other.floor = max(other.floor, stream.queue[0][0])  # no longer waited for
                return side
        return None

    def _match(self, ir: Timed | None, vis: Timed | None) -> Match:
        if ir is not None and vis is not None:
            self._skew.add(vis[0] - ir[0])
        return ir and ir[1], vis and vis[1]


def timing_of(clock: ClockModel, skew: Skew) -> dict[str, Any]:
    """How the pairs of two recordings were timed, as ``sync`` of ``results.json`` says it.

    Args:
        clock: How the infrared camera's clock stands to the visible one's.
        skew: What remains.
    """
    return {
        "offset_ms": clock.offset_ns / 1e6,
        "drift_ppm": clock.drift_ppm,
        "skew": skew.as_dict(),
    }
