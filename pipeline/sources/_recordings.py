"""Two recordings, one infrared and one visible, each decoded in its own thread, paired by time."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from types import TracebackType
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from eval.label_report import LabelReport
from eval.labels import Labels
from pipeline.frames import BadPair, Frame, FramePair, Image
from pipeline.interfaces import Source
from pipeline.sources import _spans
from pipeline.sources._frame_labels import FrameLabels
from pipeline.sources._looks import Looks
from pipeline.sources._prefetch import Prefetch
from pipeline.sources._stream import Lost, Stream
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
        description="most difference in a pair; default half of the usual time between frames",
    )
    offset_ms: _Finite | Literal["auto"] | None = Field(
        None,
        description="added to infrared times, which count from the file's start; auto: found, with "
        "the drift, from what moves; default 0, where the files' own times overlap",
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

    def __init__(
        self,
        open_streams: Callable[[], tuple[Stream, Stream]],
        timing: Timing,
        *,
        looks: Looks | None = None,
        labels: FrameLabels | None = None,
    ) -> None:
        """Open the recordings.

        Args:
            open_streams: Opens the infrared and the visible one; once more for ``offset_ms=auto``.
            timing: The settings.
            looks: Was shown what the images look like; is asked in the end.
            labels: Ground truth, None where there is none.

        Raises:
            DataError: The two have no time in common.
        """
        self._open, self._timing = open_streams, timing
        self._looks, self._labels = looks, labels
        self._ir, self._vis = open_streams()
        try:
            _spans.check(self._ir.about, self._vis.about, timing.offset_ms)
            if labels is not None and self._vis.frames:
                labels.check(map(self._vis.key, range(self._vis.frames)))
        except BaseException:
            self.close()
            raise
        self._covered = _spans.Covered()
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
            return ClockModel(round((offset or 0.0) * 1e6), self._timing.drift_ppm)
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

    @property
    def has_labels(self) -> bool:
        """Whether ground truth was given."""
        return self._labels is not None

    @property
    def label_report(self) -> LabelReport | None:
        """What of the labels counts, None without any."""
        return self._labels.report if self._labels else None

    @property
    def label_protocol(self) -> Mapping[str, Any]:
        """What of the labels' reading changes the numbers."""
        return self._labels.protocol if self._labels else {}

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,)."""
        return self._labels.class_ids(key) if self._labels else np.zeros(0, np.int64)

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Ground truth of a pair; empty where nothing is labelled."""
        return self._labels.get(key, size) if self._labels else Labels.empty()

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
            alone = 0
            for ir_frame, vis_frame in matches:
                yield from lost
                lost.clear()
                alone += ir_frame is None or vis_frame is None
                yield self._pair(ir_frame, vis_frame)
        yield from lost
        self._tell(alone)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for thread in self.threads.values():  # an iteration that was left may still hold them
            thread.close()
        self.close()

    def close(self) -> None:
        """Close both recordings."""
        self._ir.close()
        self._vis.close()

    def _tell(self, alone: int) -> None:
        """Say what only the whole recordings show.

        Raises:
            DataError: No frame had a partner.
        """
        if self._stopped.is_set():
            return
        tolerance_ms = self.tolerance_ns / 1e6
        if self.skew.count == 0:
            raise self._covered.no_pair(self._ir.about, self._vis.about, tolerance_ms)
        if alone:
            log.warning(
                "%d frames have no partner within %.3g ms (source.tolerance_ms)",
                alone, tolerance_ms,
            )  # fmt: skip
        if self._looks is not None:
            self._looks.close()

    def _shown(
        self, items: Iterable[Frame | Lost], camera: Literal["ir", "vis"], lost: list[BadPair]
    ) -> Iterator[Frame]:
        """The frames that are there; the others are noted as they are met, so in a fixed order."""
        for item in items:
            if isinstance(item, Lost):
                name = f"{camera}_end" if item.index is None else self._key(camera, item.index)
                lost.append(BadPair(name, item.reason))
            else:
                self._covered.add(camera, item)
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
