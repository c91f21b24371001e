"""The best matching of two streams of frames as they arrive: an online Viterbi algorithm."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from common.modality import MODALITIES, OTHER, Modality
from pipeline.frames import Frame

Timed = tuple[int, Frame]
TimedMatch = tuple[Timed | None, Timed | None]  # infrared, visible


@dataclass(slots=True, eq=False)
class _Pair:
    """A pair, as positions in the two streams, linked to the pair before it.

    The chain of links is a path: one way to match the frames so far.
    """

    depth: int
    ir: int
    vis: int
    before: "_Pair | None"


_State = tuple[int, int, int, _Pair]  # time, position, value, path: see _Stream.open


@dataclass(slots=True, eq=False)
class _Stream:
    """The undecided frames of one stream.

    Attributes:
        held: The frames with their times, in order of time.
        first: Position of the first of them in the stream.
        open: One state per held frame from which on this stream may still be matched with later
            frames of the other: the frame's time and position, and the value and path of matching
            the frames before it with all of the other stream. In order of time.
    """

    held: deque[Timed] = field(default_factory=deque)
    first: int = 0
    open: list[_State] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Position after the last held frame."""
        return self.first + len(self.held)


class Matching:
    """The undecided frames, and every way in which they may be matched.

    A cell (i, j) of the dynamic programme is the best matching of the first i infrared with the
    first j visible frames,

        D(i, j) = max{D(i-1, j), D(i, j-1), D(i-1, j-1) + worth - |difference|},

    with a worth that outweighs all differences, and the last term only within the tolerance. Frames
    are added in order of time. After n infrared and m visible frames, the future depends only on
    the cell (n, m) and on cells (i, m) and (n, j) whose first open frame is within the tolerance of
    future frames. These are the states; the pairs that all their paths share are final. Of equal
    terms, the one that leaves out the latest frame is chosen.
    """

    def __init__(self, tolerance_ns: int, look_ahead: int) -> None:
        """Begin; the arguments are those of ``pipeline.sync.pairing.Matcher``."""
        self._tolerance, self._look_ahead = tolerance_ns, look_ahead
        # One more pair outweighs all differences between two undecided paths.
        self._worth = (look_ahead + 2) * tolerance_ns + 1
        self._streams: dict[Modality, _Stream] = {"ir": _Stream(), "vis": _Stream()}
        self._value, self._best = 0, _Pair(0, -1, -1, None)  # the state that leaves no frame open
        self._final: list[TimedMatch] = []

    def held(self, modality: Modality) -> int:
        """The number of undecided frames of a stream."""
        return len(self._streams[modality].held)

    def add(self, modality: Modality, timed: Timed) -> None:
        """Add the next frame in order of time."""
        stream = self._streams[modality]
        stream.held.append(timed)
        self._extend(modality, timed[0], stream.end - 1)
        if len(stream.held) > self._look_ahead:
            self._force(modality, stream.end - self._look_ahead // 2)

    def decide(self, modality: Modality, time: int) -> None:
        """Decide now on the held frames of a stream that are not after a time."""
        stream = self._streams[modality]
        before = sum(held <= time for held, _ in stream.held)
        if before:
            self._force(modality, stream.first + before)

    def settle(self, earliest: Mapping[Modality, float]) -> list[TimedMatch]:
        """The matches that became final since the last call, in order of time.

        Args:
            earliest: By modality, a time before which no further frame comes.
        """
        for modality, stream in self._streams.items():
            reach = earliest[OTHER[modality]] - self._tolerance
            expired = 0
            while expired < len(stream.open) and stream.open[expired][0] < reach:
                expired += 1
            del stream.open[:expired]
        if not any(stream.open for stream in self._streams.values()):
            self._final += self._take(self._best, self._ends())
            self._value, self._best.before = 0, None
        else:
            common = self._common()
            self._final += self._take(common)
            common.before = None
        final, self._final = self._final, []
        return final

    def _ends(self) -> tuple[int, int]:
        return self._streams["ir"].end, self._streams["vis"].end

    def _common(self) -> _Pair:
        """The last pair that all paths share; the last final one if there is none."""
        paths = {state[3] for stream in self._streams.values() for state in stream.open}
        paths.add(self._best)
        while len(paths) > 1:  # the deepest is after the point where the paths part
            deepest = max(paths, key=lambda path: path.depth)
            assert deepest.before is not None, "all paths begin with the last final pair"
            paths.remove(deepest)
            paths.add(deepest.before)
        return paths.pop()

    def _extend(self, modality: Modality, time: int, position: int) -> None:
        """Extend every state by the frame that was just added."""
        corner = (time, position, self._value, self._best)
        self._streams[modality].open.append(corner)
        other = self._streams[OTHER[modality]]
        if not other.open:
            return
        # Along the other stream: the best matching up to an open frame and the new one.
        last = best = other.open[0]
        extended = [last]
        for state in (*other.open[1:], corner):
            last_time, last_position, value, path = last
            if best[2] <= state[2]:  # the new frame is left out, else the other stream's
                best = state
            value += self._worth - abs(time - last_time)
            if abs(time - last_time) <= self._tolerance and value > best[2]:
                positions = (position, last_position)
                ir, vis = positions if modality == "ir" else positions[::-1]
                best = (0, 0, value, _Pair(path.depth + 1, ir, vis, path))
            extended.append((state[0], state[1], best[2], best[3]))
            last = state
        self._value, self._best = best[2:]
        other.open = extended[:-1]

    def _force(self, modality: Modality, end: int) -> None:
        """Decide on the frames before a position by the best path, and restart from there."""
        for match in self._take(self._best, self._ends()):
            self._final.append(match)
            if self._streams[modality].first >= end:
                break
        self._value, self._best = 0, _Pair(0, -1, -1, None)
        rest: list[tuple[int, Modality, int]] = []  # at equal times "ir" sorts before "vis"
        for name in MODALITIES:
            stream = self._streams[name]
            stream.open.clear()
            rest += [(time, name, stream.first + n) for n, (time, _) in enumerate(stream.held)]
        for time, name, position in sorted(rest):
            self._extend(name, time, position)

    def _take(self, path: _Pair, ends: tuple[int, int] | None = None) -> Iterator[TimedMatch]:
        """Remove the frames up to the last pair of a path, then those before the ends."""
        pairs = []
        while path.before is not None:
            pairs.append(path)
            path = path.before
        for pair in reversed(pairs):
            yield from self._take_single((pair.ir, pair.vis))
            yield self._pop("ir"), self._pop("vis")
        if ends is not None:
            yield from self._take_single(ends)

    def _take_single(self, ends: tuple[int, int]) -> Iterator[TimedMatch]:
        """Remove the frames before the ends, without partner."""
        ir, vis = self._streams["ir"], self._streams["vis"]
        while ir.first < ends[0] or vis.first < ends[1]:
            if vis.first >= ends[1] or (ir.first < ends[0] and ir.held[0][0] <= vis.held[0][0]):
                yield self._pop("ir"), None
            else:
                yield None, self._pop("vis")

    def _pop(self, modality: Modality) -> Timed:
        self._streams[modality].first += 1
        return self._streams[modality].held.popleft()
