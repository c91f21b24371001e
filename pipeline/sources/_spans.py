"""From when to when two recordings go, and whether that fits."""

import logging

from common.errors import DataError
from pipeline.frames import Frame, Modality
from pipeline.sources._stream import About

log = logging.getLogger(__name__)
_SAME = 1_000_000  # nanoseconds: files' clocks are no finer
_Span = tuple[int, int]


def check(ir: About, vis: About, offset_ms: float | str | None) -> None:
    """Tell what is known of two recordings before their frames are read.

    Raises:
        DataError: They have no time in common, and no offset was given.
    """
    for note in (*ir.notes, *vis.notes):
        log.warning("%s", note)
    if ir.span_ns and vis.span_ns and offset_ms is None and not _overlap(ir.span_ns, vis.span_ns):
        both = (vis.span_ns[0] - vis.start_ns) - (ir.span_ns[0] - ir.start_ns)
        raise DataError(
            f"no pair: {_both(ir.span_ns, vis.span_ns)}, so the two clocks have nothing in common; "
            f"give source.offset_ms, what is added to infrared times ({both / 1e6:.12g} lets both "
            "recordings begin at once)"
        )
    apart = ir.start_ns - vis.start_ns
    if abs(apart) > _SAME:
        shared = f" (if both have one clock, give source.offset_ms={apart / 1e6:.12g})"
        log.warning(
            "the infrared file starts at %.3f s and the visible one at %.3f s; times count from "
            "each file's start%s",
            ir.start_ns / 1e9, vis.start_ns / 1e9,
            "" if offset_ms else shared,
        )  # fmt: skip


class Covered:
    """First and last time of each camera's frames, as they come."""

    def __init__(self) -> None:
        self._spans: dict[Modality, _Span] = {}

    def add(self, camera: Modality, frame: Frame) -> None:
        """Count a frame."""
        time = frame.timestamp_ns
        if time is not None:
            first, last = self._spans.get(camera, (time, time))
            self._spans[camera] = min(first, time), max(last, time)

    def no_pair(self, ir: About, vis: About, tolerance_ms: float) -> DataError:
        """The error where no frame had a partner."""
        for camera, name in (("ir", "infrared"), ("vis", "visible")):
            if camera not in self._spans:
                return DataError(
                    f"no pair: the {name} recording gave no frame; see the lines above and whether "
                    f"source.{camera} plays"
                )
        spans = [
            (about.start_ns + first, about.start_ns + last)
            for about, (first, last) in ((ir, self._spans["ir"]), (vis, self._spans["vis"]))
        ]
        return DataError(
            f"no pair: {_both(*spans)}, and no two frames are within {tolerance_ms:.3g} ms; give "
            "another source.offset_ms, what is added to infrared times, or source.tolerance_ms"
        )


def _overlap(one: _Span, other: _Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _both(ir: _Span, vis: _Span) -> str:
    return f"infrared covers {_text(ir)}, visible {_text(vis)}"


def _text(span: _Span) -> str:
    return f"{span[0] / 1e9:.1f}..{span[1] / 1e9:.1f} s"
