"""Streams of two cameras, and the plain programme that pairs them."""

import numpy as np
from hypothesis import strategies as st

from pipeline.frames import Frame
from pipeline.sync.pairing import pair_by_time

IMAGE = np.zeros((1, 1), np.uint8)


def stream(times):
    return [Frame(IMAGE, time, index) for index, time in enumerate(times)]


def pair(ir, vis, tolerance, **more):
    matched = pair_by_time(stream(ir), stream(vis), tolerance_ns=tolerance, **more)
    return [times(*match) for match in matched]


def times(ir, vis):
    return ir and ir.timestamp_ns, vis and vis.timestamp_ns


def whole(found):
    return [(a, b) for a, b in found if a is not None and b is not None]


def oracle(ir, vis, tolerance):
    """Most pairs and their least total difference: the plain programme over the whole streams."""
    ir, vis = sorted(ir), sorted(vis)
    above = [(0, 0)] * (len(vis) + 1)  # (pairs, -difference)
    for a in ir:
        row = [(0, 0)]
        for j, b in enumerate(vis):
            best = max(above[j + 1], row[j])
            if abs(a - b) <= tolerance:
                best = max(best, (above[j][0] + 1, above[j][1] - abs(a - b)))
            row.append(best)
        above = row
    return above[-1][0], -above[-1][1]


def score(found):
    return len(whole(found)), sum(abs(a - b) for a, b in whole(found))


def assert_a_matching(found, ir, vis, tolerance):
    """Every frame once, both orders kept, within the tolerance, in order of time."""
    assert [a for a, _ in found if a is not None] == sorted(ir)
    assert [b for _, b in found if b is not None] == sorted(vis)
    assert all(abs(a - b) <= tolerance for a, b in whole(found))


# Streams of two cameras in whole milliseconds: rate, offset, jitter, drops, duplicates.
@st.composite
def camera(draw):
    period, offset = draw(st.integers(4, 25)), draw(st.integers(-30, 30))
    jitter = st.integers(-draw(st.integers(0, 12)), draw(st.integers(0, 12)))
    copies = st.sampled_from([0, 1, 1, 1, 1, 1, 2])
    return sorted(
        k * period + offset + draw(jitter)
        for k in range(draw(st.integers(0, 14)))
        for _ in range(draw(copies))
    )


TIMES = st.one_of(camera(), st.lists(st.integers(0, 60), max_size=12).map(sorted))
