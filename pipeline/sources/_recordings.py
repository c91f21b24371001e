"""Two recordings, one infrared and one visible, each decoded in its own thread, paired by time."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.modality import Modality
from eval.label_report import LabelReport
from eval.labels import Labels
from pipeline.frames import BadPair, Frame, FramePair, Image
from pipeline.interfaces import Source
from pipeline.sources import _spans
from pipeline.sources._frame_labels import FrameLabels
from pipeline.sources._ir_range import IrRange
from pipeline.sources._plausibility import Plausibility
from pipeline.sources._prefetch import Prefetch
from pipeline.sources._stream import Lost, Stream
from pipeline.sources._timestamps import SECOND
from pipeline.sync.clock_model import ClockModel, Skew, timing_of
from pipeline.sync.pairing import Matcher, pair_by_time

log = logging.getLogger(__name__)
AHEAD = 8  # frames that a thread decodes ahead
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class Timing(BaseModel):
    """Settings of the times of all kinds of recordings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance_ms: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="most difference in a pair; default half of the usual time between frames",
    )
    offset_ms: _Finite | Literal["auto"] | None = Field(
        None,
        description="added to infrared times, which count from the file's start; auto: estimated "
        "from motion, with the drift; default 0, if the files' own times overlap",
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
            raise ValueError("offset_ms=auto estimates drift_ppm too; leave it out")
        return self


class RecordedPairs(Source):
    """Pairs of two recordings.

    A pair has the key of its visible frame, `000012` in a video; an infrared frame without partner
    has the key `ir_` and its own. A damaged frame is a bad pair, and its partner unpaired.

    Attributes:
        skew: Time differences within pairs; complete after the iteration.
        threads: The decoding thread of each modality; empty before the iteration.
    """

    threads: Mapping[str, Prefetch[Frame | Lost]] = {}

    def __init__(
        self,
        open_streams: Callable[[], tuple[Stream, Stream]],
        timing: Timing,
        *,
        checks: Plausibility | None = None,
        labels: FrameLabels | None = None,
    ) -> None:
        """Open the recordings.

        Args:
            open_streams: Opens the infrared and the visible recording; called again for
                ``offset_ms=auto``.
            timing: The settings.
            checks: The checks of the images, which the streams feed.
            labels: Ground truth, or None.

        Raises:
            DataError: The recordings don't overlap in time.
        """
        self._open, self._timing = open_streams, timing
        self._checks, self._labels = checks, labels
        self._ir, self._vis = open_streams()
        try:
            _spans.check(self._ir.info, self._vis.info, timing.offset_ms)
            if labels is not None:
                self.labels_on = labels.drawn_on
                stream = self._ir if self.labels_on == "ir" else self._vis
                labels.check_start(stream.key(0))
                if stream.frames:  # MKV and TS don't state it
                    labels.check(map(stream.key, range(stream.frames)))
        except BaseException:
            self.close()
            raise
        self._covered = _spans.Covered()
        self.skew = Skew()
        self._stopped = threading.Event()

    @property
    def bits(self) -> Mapping[Modality, int]:
        """Bits of a channel in each recording."""
        return {"ir": self._ir.info.bits, "vis": self._vis.info.bits}

    @property
    def count(self) -> int | None:
        """The largest possible number of pairs; None if a recording doesn't state its frames."""
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
        # the largest distance of any time to the nearest frame of the faster recording
        return int(SECOND / max(self._ir.rate, self._vis.rate) / 2)

    @cached_property
    def clock(self) -> ClockModel:
        """The model of the infrared camera's clock.

        With ``offset_ms=auto`` it is estimated, for which both recordings are read once.

        Raises:
            DataError: It can't be estimated from the motion, or ``stop`` was called meanwhile.
        """
        offset = self._timing.offset_ms
        if offset != "auto":
            return ClockModel(round((offset or 0.0) * 1e6), self._timing.drift_ppm)
        # imported now: scipy.stats would delay other runs by a second
        from pipeline.sync.clock_offset import estimate_clock

        ir, vis = self._open()
        try:
            with (
                Prefetch(ir, length=AHEAD, name="offset ir") as ir_frames,
                Prefetch(vis, length=AHEAD, name="offset vis") as vis_frames,
            ):
                estimate = estimate_clock(ir=self._timed(ir_frames), vis=self._timed(vis_frames))
        finally:
            ir.close()
            vis.close()
        log.info(
            "infrared times are given %+.1f ms and %g ppm (correlation of the motion %.2f)",
            estimate.clock.offset_ns / 1e6,
            estimate.clock.drift_ppm,
            estimate.correlation,
        )
        return estimate.clock

    def timing(self) -> dict[str, Any]:
        """The infrared camera's clock, and the time differences within pairs."""
        return timing_of(self.clock, self.skew)

    def stop(self) -> None:
        """End the estimation of the offset, which reads whole recordings; from any thread."""
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

    def label_key(self, pair: FramePair | BadPair) -> str:
        """The key of the frame that the labels are drawn on, in its own recording; else empty."""
        if isinstance(pair, BadPair):
            mine = pair.modality == self.labels_on
            return pair.key.removeprefix("ir_" if self.labels_on == "ir" else "") if mine else ""
        if self.labels_on == "ir":
            return "" if pair.ir is None else self._ir.key(pair.ir.index)
        return "" if pair.vis is None else self._vis.key(pair.vis.index)

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
                self._intact(ir, "ir", lost),
                self._intact(vis, "vis", lost),
                Matcher(self.tolerance_ns, clock=self.clock, skew=self.skew),
            )
            alone = 0
            for ir_frame, vis_frame in matches:
                yield from lost
                lost.clear()
                alone += ir_frame is None or vis_frame is None
                yield self._pair(ir_frame, vis_frame)
        yield from lost
        self._warn(alone)

    def __exit__(self, *error: object) -> None:
        for thread in self.threads.values():  # of an iteration that was abandoned
            thread.close()
        self.close()

    def close(self) -> None:
        """Close both recordings."""
        self._ir.close()
        self._vis.close()

    def _warn(self, alone: int) -> None:
        """Give the warnings that need the whole recordings.

        Raises:
            DataError: No frame had a partner.
        """
        if self._stopped.is_set():
            return
        tolerance_ms = self.tolerance_ns / 1e6
        if self.skew.count == 0:
            raise self._covered.no_pair(self._ir.info, self._vis.info, tolerance_ms)
        if alone:
            log.warning(
                "%d frames have no partner within %.3g ms (source.tolerance_ms)",
                alone, tolerance_ms,
            )  # fmt: skip
        if self._checks is not None:
            self._checks.close()

    def _intact(
        self, items: Iterable[Frame | Lost], modality: Modality, lost: list[BadPair]
    ) -> Iterator[Frame]:
        """Yield the intact frames; append the others to ``lost`` in order."""
        for item in items:
            if isinstance(item, Lost):
                if item.index is None:
                    lost.append(BadPair(f"{modality}_end", item.reason))
                else:
                    lost.append(BadPair(self._key(modality, item.index), item.reason, modality))
            else:
                self._covered.add(modality, item)
                yield item

    def _timed(self, items: Iterable[Frame | Lost]) -> Iterator[tuple[int, Image]]:
        """Times and images of the intact frames, until ``stop``."""
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

    def _key(self, modality: Modality, index: int) -> str:
        return self._vis.key(index) if modality == "vis" else f"ir_{self._ir.key(index)}"
