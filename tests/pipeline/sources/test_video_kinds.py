"""Recordings as they are drawn: every pair's frames are the true ones, or the run says why not."""

import logging

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from common.errors import DataError
from tests.helpers.numbered import build, numbers, write

CAMERA = st.fixed_dictionaries(
    {
        "suffix": st.sampled_from(["mkv", "mp4", "ts", "avi", "h264", "mov", "flv"]),
        "step": st.sampled_from([40, 40, 20]),  # ms between frames
        "start": st.sampled_from([0, 0, 120, 360, 5000]),  # ms on the file's own clock
        "stated": st.sampled_from([25, 1000]),
        "rotation": st.sampled_from([0, 90, 180, 270]),
        "codec": st.sampled_from(["libx264", "mpeg4"]),
        "b_frames": st.sampled_from([0, 2]),
        "missing": st.sets(st.integers(1, 13), max_size=3),
    }
)
COUNT = 15


def record(path, camera):
    """Write what was drawn, as far as the container can hold it; the numbers."""
    suffix, step = camera["suffix"], camera["step"]
    plain = suffix in ("avi", "h264")  # frames are counted: no start, no gap, one rate
    there = [i for i in range(COUNT) if plain or i not in camera["missing"]]
    start = 0 if plain else camera["start"]
    times = [start + step * i for i in there]
    if plain:
        times = list(range(COUNT)) if suffix == "avi" else None
    codec = "libx264" if suffix in ("h264", "flv", "ts") else camera["codec"]
    write(
        path,
        times,
        stated=camera["stated"] if suffix == "mkv" else 1000 // step,
        codec=codec,
        b_frames=camera["b_frames"] if codec == "libx264" else 0,
        rotation=camera["rotation"] if suffix == "mp4" else 0,
        base=1000 if not plain else 1000 // step,
        numbers=there,
    )
    return there


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # to shrink a recording takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(ir=CAMERA, vis=CAMERA)
def test_every_pair_is_true_or_the_run_says_why_not(tmp_path, caplog, ir, vis):
    caplog.clear()
    caplog.set_level(logging.WARNING)
    there, files = [], []
    for name, camera in (("ir", ir), ("vis", vis)):
        files.append(tmp_path / f"{name}.{camera['suffix']}")
        there.append(record(files[-1], camera))
    starts = [0 if c["suffix"] in ("avi", "h264") else c["start"] for c in (ir, vis)]
    if {ir["suffix"], vis["suffix"]} & {"h264"} or abs(starts[0] - starts[1]) < 280:
        found = numbers(build(*files))
    elif abs(starts[0] - starts[1]) > 600:
        with pytest.raises(DataError, match="so the two clocks have nothing in common"):
            build(*files)
        found = numbers(build(*files, offset_ms=0))
    else:  # whether they overlap hangs on how long they are
        found = numbers(build(*files, offset_ms=0))
    assert None not in {n for pair in found for n in pair}  # upright
    moments = [{i * c["step"] for i in t} for t, c in zip(there, (ir, vis), strict=True)]
    assert {i * ir["step"] for i, _ in found} >= moments[0] & moments[1], (found, caplog.text)
    reach = min(ir["step"], vis["step"]) / 2
    assert all(abs(i * ir["step"] - v * vis["step"]) <= reach for i, v in found), found
    if any(c["suffix"] == "h264" for c in (ir, vis)):
        assert "has no time stamps" in caplog.text
    if abs(starts[0] - starts[1]) > 1 and "h264" not in (ir["suffix"], vis["suffix"]):
        assert "times count from each file's start" in caplog.text
