from fractions import Fraction

import av
import numpy as np
import pytest

from detection.boxes import Detections
from pipeline import config, runner
from pipeline.sinks.video import COLOURS, draw_boxes
from tests.pipeline import toys
from tests.pipeline.sources.test_video import write_video


def frames(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)
        ]


def run(settings):
    return runner.run(config.check(settings), lambda done, total: None)


def test_stills_become_a_video_of_panels(pairs):
    sink = {"kind": "video", "arms": ["ir", "vis", "fused"], "frame_rate": 4}
    outcome = run(toys.settings(pairs, sinks={"film": sink}))
    shown = frames(outcome.folder / "video" / "film.mp4")
    assert [time for time, _ in shown] == pytest.approx([i / 4 for i in range(6)])
    assert shown[0][1].shape == (toys.HEIGHT + 24, 3 * toys.WIDTH, 3)


def test_a_recording_keeps_its_times(here):
    times = [0, 40, 100, 300]
    write_video(here / "ir.mkv", times, 25)
    write_video(here / "vis.mkv", times, 25)
    source = {"kind": "video", "ir": "ir.mkv", "vis": "vis.mkv"}
    sinks = {"film": {"kind": "video", "arms": ["fused"]}}
    outcome = run(toys.settings(here, source=source, sinks=sinks))
    shown = frames(outcome.folder / "video" / "film.mp4")
    assert [time for time, _ in shown] == pytest.approx([t / 1000 for t in times], abs=1e-4)
    assert shown[3][1].mean() == pytest.approx(30, abs=3)


def test_odd_sizes_and_rows(here):
    toys.write_pairs(here / "odd", 2, size=(47, 61))
    sink = {"kind": "video", "arms": ["ir", "vis", "fused"], "columns": 2}
    outcome = run(toys.settings(here / "odd", sinks={"film": sink}))
    assert frames(outcome.folder / "video" / "film.mp4")[0][1].shape == (2 * 71, 2 * 61, 3)


def test_boxes_over_the_threshold_are_drawn():
    image = np.zeros((60, 80, 3), np.uint8)
    boxes = np.array([[20, 30, 50, 50], [0, 0, 10, 10]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.1], np.float32), np.array([0, 0]))
    draw_boxes(image, found, {0: "person"}, conf=0.25)
    assert tuple(image[40, 20]) == COLOURS[0]
    assert tuple(image[50, 35]) == COLOURS[0]
    assert image[5, 5].sum() == 0


def test_rate_of_a_recording_is_kept(here):
    write_video(here / "ir.mkv", [0, 33, 67], Fraction(30000, 1001))
    write_video(here / "vis.mkv", [0, 33, 67], Fraction(30000, 1001))
    source = {"kind": "video", "ir": "ir.mkv", "vis": "vis.mkv"}
    outcome = run(toys.settings(here, source=source, sinks={"film": {"kind": "video"}}))
    assert len(frames(outcome.folder / "video" / "film.mp4")) == 3
