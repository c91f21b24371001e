"""The best matching of two streams of frames as they come: an online Viterbi algorithm."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.frames import Frame

Timed = tuple[int, Frame]
TimedMatch = tuple[Timed | None, Timed | None]  # infrared, visible


@dataclass(slots=True, eq=False)
class _Pair:
    """A pair, as positions in the two streams, and those before it: a way to match all so far."""

    depth: int
    ir: int
    vis: int
    before: "_Pair | None"


_State = tuple[int, int, int, _Pair]  # time, position, value, way: see _Side.open


@dataclass(slots=True, eq=False)
class _Side:
    """The undecided frames of one stream.

    Attributes:
        held: The frames with their times, in order of time.
        first: Position of the first of them in the stream.
        open: The states that leave this stream open from one of the frames on, for frames of the
            other that are still to come: the frame's time and position, and the value and the way
            of matching those before it with all of the other stream. In order of time.
    """

    held: deque[Timed] = field(default_factory=deque)
    first: int = 0
    open: list[_State] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Position behind the last held frame."""
        return self.first + len(self.held)


class Matching:
    """The frames that are not yet decided, and every way in which they may yet be matched.

    A cell (i, j) of the dynamic programme is the best matching of the first i infrared with the
    first j visible frames,

        D(i, j) = max{D(i-1, j), D(i, j-1), D(i-1, j-1) + worth - |difference|},

    with a worth that outweighs all differences, and the last only within the tolerance. Frames are
    added in order of time. After n and m of them, what follows can depend on cells (i, m) and
    (n, j) only, where the first open frame is still within the tolerance of frames to come, and on
    (n, m). These are the states; what their ways have in common is final. Of equal terms the one
    that leaves out the latest frame counts.
    """

    def __init__(self, tolerance_ns: int, look_ahead: int) -> None:
        """Arguments as those of ``pipeline.sync.pairing.pair_by_time``."""
        self._tolerance, self._look_ahead = tolerance_ns, look_ahead
        # One pair more outweighs all differences that two undecided ways can have.
        self._worth = (look_ahead + 2) * tolerance_ns + 1
        self._sides = (_Side(), _Side())  # infrared, visible
        self._value, self._best = 0, _Pair(0, -1, -1, None)  # the state that leaves no frame open
        self._final: list[TimedMatch] = []

    def held(self, side: int) -> int:
        """Undecided frames of the infrared (0) or the visible stream (1)."""
        return len(self._sides[side].held)

    def add(self, side: int, timed: Timed) -> None:
        """Add the next frame in order of time, infrared (0) or visible (1)."""
        self._sides[side].held.append(timed)
        self._extend(side, timed[0], self._sides[side].end - 1)
        if len(self._sides[side].held) > self._look_ahead:
            self._force(side, self._sides[side].end - self._look_ahead // 2)

    def decide(self, side: int, time: int) -> None:
        """Decide now on the held frames of a stream that are not after a time."""
        one = self._sides[side]
        before = sum(held <= time for held, _ in one.held)
        if before:
            self._force(side, one.first + before)

    def settle(self, earliest: tuple[float, float]) -> list[TimedMatch]:
        """What became final since the last call, in order of time.

        Args:
            earliest: No infrared and no visible frame to come is before these times.
        """
        for side in (0, 1):
            states, reach = self._sides[side].open, earliest[1 - side] - self._tolerance
            gone = 0
            while gone < len(states) and states[gone][0] < reach:
                gone += 1
            del states[:gone]
        if not self._sides[0].open and not self._sides[1].open:
            self._final += self._take(self._best, (self._sides[0].end, self._sides[1].end))
            self._value, self._best.before = 0, None
        else:
            way = self._common()
            self._final += self._take(way)
            way.before = None
        final, self._final = self._final, []
        return final

    def _common(self) -> _Pair:
        """The last pair that all states have in common; the last final one where there is none."""
        ways = {state[3] for side in self._sides for state in side.open} | {self._best}
        while len(ways) > 1:  # the deepest is behind the place where they part
            deepest = max(ways, key=lambda way: way.depth)
            assert deepest.before is not None, "all ways begin with the last final pair"
            ways.remove(deepest)
            ways.add(deepest.before)
        return ways.pop()

    def _extend(self, side: int, time: int, position: int) -> None:
        """Extend every state by the frame that was just added."""
        corner = (time, position, self._value, self._best)
        self._sides[side].open.append(corner)
        states = self._sides[1 - side].open
        if not states:
            return
        # Along the other stream: what is matched up to an open frame and the new one.
        last = best = states[0]
        extended = [last]
        for state in (*states[1:], corner):
            then, place, value, way = last
            if best[2] <= state[2]:  # the new frame is left out, or else the other's
                best = state
            value += self._worth - abs(time - then)
            if abs(time - then) <= self._tolerance and value > best[2]:
                pair = (position, place) if side == 0 else (place, position)
                best = (0, 0, value, _Pair(way.depth + 1, *pair, way))
            extended.append((state[0], state[1], best[2], best[3]))
            last = state
        self._value, self._best = best[2:]
        self._sides[1 - side].open = extended[:-1]

    def _force(self, side: int, end: int) -> None:
        """Decide on what is before a position in the best way so far, and begin anew from there."""
        for match in self._take(self._best, (self._sides[0].end, self._sides[1].end)):
            self._final.append(match)
            if self._sides[side].first >= end:
                break
        self._value, self._best = 0, _Pair(0, -1, -1, None)
        rest = []  # time, side, position
        for which, one in enumerate(self._sides):
            one.open.clear()
            rest += [(time, which, one.first + n) for n, (time, _) in enumerate(one.held)]
        for time, which, position in sorted(rest):
            self._extend(which, time, position)

    def _take(self, way: _Pair, ends: tuple[int, int] | None = None) -> Iterator[TimedMatch]:
        """Remove the frames up to the last pair of a way, and then those before the ends."""
        pairs = []
        while way.before is not None:
            pairs.append(way)
            way = way.before
        for pair in reversed(pairs):
            yield from self._take_single((pair.ir, pair.vis))
            yield self._pop(0), self._pop(1)
        if ends is not None:
            yield from self._take_single(ends)

    def _take_single(self, ends: tuple[int, int]) -> Iterator[TimedMatch]:
        """Remove the frames before the ends, without partner."""
        ir, vis = self._sides
        while ir.first < ends[0] or vis.first < ends[1]:
            if vis.first >= ends[1] or (ir.first < ends[0] and ir.held[0][0] <= vis.held[0][0]):
                yield self._pop(0), None
            else:
                yield None, self._pop(1)

    def _pop(self, side: int) -> Timed:
        self._sides[side].first += 1
        return self._sides[side].held.popleft()
