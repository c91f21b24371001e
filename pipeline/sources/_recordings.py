"""Two recordings, one infrared and one visible, each decoded in its own thread, paired by time."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from types import TracebackType
from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.frames import BadPair, Frame, FramePair, Image
from pipeline.interfaces import Source
from pipeline.sources._prefetch import Prefetch
from pipeline.sources._timestamps import SECOND
from pipeline.sources.image_folder import IrRange
from pipeline.sync.clock_offset import estimate_clock
from pipeline.sync.pairing import ClockModel, Skew, pair_by_time, timing_of

log = logging.getLogger(__name__)
AHEAD = 8  # frames that a thread may be ahead
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Timing(BaseModel):
    """What every kind of recording may be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance_ms: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="most difference in a pair; default half a frame",
    )
    offset_ms: _Finite | Literal["auto"] = Field(
        0.0, description="added to infrared times; auto: found, with the drift, from what moves"
    )
    drift_ppm: float = Field(
        0.0, gt=-1e6, allow_inf_nan=False, description="how much faster the visible clock runs"
    )
    ir_range: IrRange | None = Field(
        None, description="counts of 16-bit IR -> 0..255; default automatic gain"
    )

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if self.offset_ms == "auto" and self.drift_ppm:
            raise ValueError("drift_ppm is found together with offset_ms=auto; leave it out")
        return self


@dataclass(frozen=True, slots=True)
class Lost:
    """A frame that was recorded and can't be shown.

    Attributes:
        index: Position in its own stream, from 0; None where the rest of the stream is lost.
        reason: One line for the user.
    """

    index: int | None
    reason: str


class Stream(Protocol):
    """The frames of one camera, in the order in which they were recorded."""

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        ...

    @property
    def frames(self) -> int:
        """How many there are, 0 where that isn't known."""
        ...

    def key(self, index: int) -> str:
        """Names a frame."""
        ...

    def __iter__(self) -> Iterator[Frame | Lost]: ...

    def close(self) -> None:
        """Give back what is held."""
        ...


class RecordedPairs(Source):
    """Pairs of two recordings.

    A pair has the key of its visible frame, `000012` in a video; an infrared frame without partner
    has `ir_` and its own key. A frame that is lost is a bad pair, its partner stands alone.

    Attributes:
        skew: How far the frames of each pair lie apart; complete after the iteration.
        threads: What decoded each camera, by name, with the seconds that it worked and waited;
            empty before the iteration.
    """

    threads: Mapping[str, Prefetch[Frame | Lost]] = {}

    def __init__(self, open_streams: Callable[[], tuple[Stream, Stream]], timing: Timing) -> None:
        """Open the recordings.

        Args:
            open_streams: Opens the infrared and the visible one; once more for ``offset_ms=auto``.
            timing: The settings.
        """
        self._open, self._timing = open_streams, timing
        self._ir, self._vis = open_streams()
        self.skew = Skew()
        self._stopped = threading.Event()

    @property
    def count(self) -> int | None:
        """At most this many pairs, where both recordings say how many frames they have."""
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
        if self._timing.tolerance_ms is not None:
            return round(self._timing.tolerance_ms * 1e6)
        # A frame of the slower recording is at most this far from the nearest of the faster one.
        return int(SECOND / max(self._ir.rate, self._vis.rate) / 2)

    @cached_property
    def clock(self) -> ClockModel:
        """How the infrared camera's clock stands to the visible one's.

        With ``offset_ms=auto`` both recordings are read once for it.

        Raises:
            DataError: It can't be found from the motion, or ``stop`` was called meanwhile.
        """
        offset = self._timing.offset_ms
        if offset != "auto":
            return ClockModel(round(offset * 1e6), self._timing.drift_ppm)
        ir, vis = self._open()
        try:
            with (
                Prefetch(ir, length=AHEAD, name="offset ir") as irs,
                Prefetch(vis, length=AHEAD, name="offset vis") as viss,
            ):
                found = estimate_clock(ir=self._timed(irs), vis=self._timed(viss))
        finally:
            ir.close()
            vis.close()
        log.info(
            "infrared times are given %+.1f ms and %g ppm (correlation of the motion %.2f)",
            found.clock.offset_ns / 1e6,
            found.clock.drift_ppm,
            found.correlation,
        )
        return found.clock

    def timing(self) -> dict[str, Any]:
        """The infrared camera's clock, and how far the frames of each pair lie apart."""
        return timing_of(self.clock, self.skew)

    def stop(self) -> None:
        """End the search for the offset, which reads whole recordings; from any thread."""
        self._stopped.set()

    def __iter__(self) -> Iterator[FramePair | BadPair]:
        lost: list[BadPair] = []
        ir = Prefetch(self._ir, length=AHEAD, name="decode ir")
        vis = Prefetch(self._vis, length=AHEAD, name="decode vis")
        self.threads = {"ir": ir, "vis": vis}
        with ir, vis:
            matches = pair_by_time(
                self._shown(ir, "ir", lost),
                self._shown(vis, "vis", lost),
                tolerance_ns=self.tolerance_ns,
                clock=self.clock,
                skew=self.skew,
            )
            for ir_frame, vis_frame in matches:
                yield from lost
                lost.clear()
                yield self._pair(ir_frame, vis_frame)
        yield from lost

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for thread in self.threads.values():  # an iteration that was left may still hold them
            thread.close()
        self._ir.close()
        self._vis.close()

    def _shown(
        self, items: Iterable[Frame | Lost], camera: Literal["ir", "vis"], lost: list[BadPair]
    ) -> Iterator[Frame]:
        """The frames that are there; the others are noted as they are met, so in a fixed order."""
        for item in items:
            if isinstance(item, Lost):
                name = f"{camera}_end" if item.index is None else self._key(camera, item.index)
                lost.append(BadPair(name, item.reason))
            else:
                yield item

    def _timed(self, items: Iterable[Frame | Lost]) -> Iterator[tuple[int, Image]]:
        """Times and images of the frames that are there, until ``stop``."""
        for item in items:
            if self._stopped.is_set():
                return
            if isinstance(item, Frame) and item.timestamp_ns is not None:
                yield item.timestamp_ns, item.image

    def _pair(self, ir: Frame | None, vis: Frame | None) -> FramePair:
        if vis is not None:
            return FramePair(self._key("vis", vis.index), ir, vis)
        assert ir is not None, "a match has a frame"
        return FramePair(self._key("ir", ir.index), ir, vis)

    def _key(self, camera: Literal["ir", "vis"], index: int) -> str:
        return self._vis.key(index) if camera == "vis" else f"ir_{self._ir.key(index)}"
