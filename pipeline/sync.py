"""Pairing two recordings by presentation time, in one pass and constant memory."""

from collections.abc import Iterable, Iterator

from pipeline.frames import Frame


def pair_by_time(
    ir: Iterable[Frame], vis: Iterable[Frame], *, tolerance_ns: int
) -> Iterator[tuple[Frame | None, Frame | None]]:
    """Match the frames of two streams, each used at most once and the order kept.

    Two frames may be paired where their times differ by at most the tolerance. Of the two frames at
    the head of the streams the later one waits for as long as the other stream's next frame is
    strictly nearer to it, so a frame that is passed over is one that had a better neighbour.

    Args:
        ir: Infrared frames with non-decreasing times.
        vis: Visible frames, likewise.
        tolerance_ns: Largest difference inside a pair, nanoseconds.

    Yields:
        (ir, vis); None on one side where a frame has no partner.
    """
    irs, viss = iter(ir), iter(vis)
    a, b = next(irs, None), next(viss, None)
    while a is not None and b is not None:
        difference = _time(a) - _time(b)
        following = next(irs, None) if difference < 0 else next(viss, None)
        # The earlier frame's successor may lie nearer to the later frame.
        late, early = (b, a) if difference < 0 else (a, b)
        nearer = following is not None and abs(_time(following) - _time(late)) < abs(difference)
        if abs(difference) <= tolerance_ns and not nearer:
            yield a, b
            a = following if early is a else next(irs, None)
            b = following if early is b else next(viss, None)
        elif early is a:
            yield a, None
            a = following
        else:
            yield None, b
            b = following
    while a is not None:
        yield a, None
        a = next(irs, None)
    while b is not None:
        yield None, b
        b = next(viss, None)


def _time(frame: Frame) -> int:
    if frame.timestamp_ns is None:
        raise ValueError(f"frame {frame.index} has no time to be paired by")
    return frame.timestamp_ns
