from fractions import Fraction

import av
import numpy as np
import pytest

from common.errors import ConfigError, DataError
from detection.boxes import Detections
from pipeline.run_folder import sink_files
from pipeline.sinks import video
from pipeline.sinks.video import COLOURS, draw_boxes
from tests.helpers import stand, toys
from tests.helpers.runs import execute
from tests.helpers.videos import write_video


def frames(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)
        ]


def test_stills_become_a_video_of_panels(pairs):
    sink = {"kind": "video", "arms": ["ir", "vis", "fused"], "frame_rate": 4}
    outcome = execute(toys.settings(pairs, sinks={"film": sink}))
    shown = frames(outcome.folder / "video" / "film.mp4")
    assert [time for time, _ in shown] == pytest.approx([i / 4 for i in range(6)])
    assert shown[0][1].shape == (toys.HEIGHT + 24, 3 * toys.WIDTH, 3)


def test_a_recording_keeps_its_times(here):
    times = [0, 40, 100, 300]
    write_video(here / "ir.mkv", times, 25)
    write_video(here / "vis.mkv", times, 25)
    source = {"kind": "video", "ir": "ir.mkv", "vis": "vis.mkv"}
    sinks = {"film": {"kind": "video", "arms": ["fused"]}}
    outcome = execute(toys.settings(here, source=source, sinks=sinks))
    shown = frames(outcome.folder / "video" / "film.mp4")
    assert [time for time, _ in shown] == pytest.approx([t / 1000 for t in times], abs=1e-4)
    assert shown[3][1].mean() == pytest.approx(30, abs=3)


def test_odd_sizes_and_rows(here):
    toys.write_pairs(here / "odd", 2, size=(47, 61))
    sink = {"kind": "video", "arms": ["ir", "vis", "fused"], "columns": 2}
    outcome = execute(toys.settings(here / "odd", sinks={"film": sink}))
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
    outcome = execute(toys.settings(here, source=source, sinks={"film": {"kind": "video"}}))
    assert len(frames(outcome.folder / "video" / "film.mp4")) == 3


def build(context, **settings):
    return video.build(video.Config(**settings), context, "film")


def film(folder):
    return frames(folder / "video" / "film.mp4")


def killed(*given):
    raise KeyboardInterrupt


def same(ours, theirs):
    return [time for time, _ in ours] == [time for time, _ in theirs] and all(
        (one == other).all() for (_, one), (_, other) in zip(ours, theirs, strict=True)
    )


# Milliseconds: an uneven recording that begins late, has a time four times and a gap of a minute.
UNEVEN = [5017, 5050, 5050, 5050, 5050, 5084, 65_000, 65_001, 65_100, 65_110, 65_143]


def test_times_of_an_uneven_recording_are_kept(tmp_path):
    results = [stand.result(i, ms * 1_000_000) for i, ms in enumerate(UNEVEN)]
    shown = film(stand.run(build, tmp_path / "run", results))
    ticks = [round(time * 90_000) for time, _ in shown]
    assert ticks == [ms * 90 + {2: 1, 3: 2, 4: 3}.get(i, 0) for i, ms in enumerate(UNEVEN)]


@pytest.mark.parametrize("start_s", [-5, 1_800_000_000, 3601])
def test_times_of_a_clock_begin_at_0(tmp_path, start_s):
    times = [0, 33, 50, 1000, 1001, 1040]
    results = [stand.result(i, (start_s * 1000 + ms) * 1_000_000) for i, ms in enumerate(times)]
    whole = film(stand.run(build, tmp_path / "run", results))
    assert [time for time, _ in whole] == pytest.approx([ms / 1000 for ms in times], abs=1e-9)
    assert same(film(stand.broken_run(build, tmp_path / "broken", results, [5])), whole)


def test_times_finer_than_milliseconds(tmp_path):
    times = [round(10**9 * (7 + i * 1001 / 30_000)) for i in range(9)]
    results = [stand.result(i, time) for i, time in enumerate(times)]
    shown = film(stand.run(build, tmp_path / "run", results))
    assert [time for time, _ in shown] == pytest.approx([t / 1e9 for t in times], abs=0.5 / 90_000)


@pytest.mark.parametrize("size", [(48, 64), (47, 61)])
@pytest.mark.parametrize("timed", [True, False])
def test_a_resumed_video_has_the_frames_and_times_of_an_unbroken_one(tmp_path, size, timed):
    def make(context):
        return build(context, columns=1)

    results = [
        stand.result(i, ms * 1_000_000 if timed else None, size=size if i < 6 else (40, 60))
        for i, ms in enumerate(UNEVEN)
    ]
    folder = stand.run(make, tmp_path / "whole", results)
    whole = film(folder)
    assert len(whole) == len(results)
    assert whole[0][1].shape == (2 * (size[0] + 24) + 2 * size[0] % 2, size[1] + size[1] % 2, 3)
    assert list(stand.files(folder)) == ["video/film.mp4"]
    for kills in ([2], [4], [9], [5, 6, 10]):
        broken = stand.broken_run(make, tmp_path / f"broken{kills}", results, kills)
        assert same(film(broken), whole)
        assert list(stand.files(broken)) == ["video/film.mp4"]


def test_a_killed_run_leaves_parts_that_play(tmp_path):
    sink = build(stand.context(tmp_path))
    stand.write(sink, [stand.result(i) for i in range(10)])
    folder = tmp_path / "video" / "film.parts"
    parts = sorted(folder.glob("*-*"))
    assert [path.name for path in parts] == ["000000-000003.mp4", "000004-000007.mp4"]
    assert [time for time, _ in frames(parts[1])] == [4 / 25, 5 / 25, 6 / 25, 7 / 25]
    sink.__exit__(None, None, None)
    assert [time for time, _ in frames(folder / "000008.mp4")] == [8 / 25, 9 / 25]


@pytest.mark.parametrize("call", ["replace", "rmtree"])
def test_a_kill_while_the_parts_are_joined(tmp_path, monkeypatch, call):
    results = [stand.result(i) for i in range(8)]
    whole = stand.files(stand.run(build, tmp_path / "whole", results))
    sink = build(stand.context(tmp_path / "run"))
    stand.write(sink, results)
    with monkeypatch.context() as patch:
        patch.setattr(sink_files.shutil if call == "rmtree" else sink_files.Path, call, killed)
        with pytest.raises(KeyboardInterrupt):
            sink.finish(stand.summary(8))
    for _ in range(2):  # the second time after a kill when all was done
        again = build(stand.context(tmp_path / "run", done=8))
        again.finish(stand.summary(8))
        assert stand.files(tmp_path / "run") == whole
    with pytest.raises(DataError, match=r"film\.mp4: was complete before pair 8"):
        again.write(stand.result(8))


def test_one_frame_has_a_duration(tmp_path):
    stand.run(build, tmp_path / "run", [stand.result(0)])
    with av.open(str(tmp_path / "run" / "video" / "film.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.frames == 1
        assert stream.duration * stream.time_base == Fraction(1, 25)


def test_a_steady_recording_keeps_its_rate(tmp_path):
    rate = Fraction(30_000, 1001)
    results = [stand.result(i, round(10**9 * i / rate)) for i in range(10)]
    with build(stand.context(tmp_path, frame_rate=rate)) as sink:
        stand.write(sink, results)
        sink.finish(stand.summary(10))
    with av.open(str(tmp_path / "video" / "film.mp4")) as container:
        assert container.streams.video[0].average_rate == rate


def test_it_cannot_join_a_run_that_is_resumed(tmp_path):
    with pytest.raises(ConfigError, match=r"sinks\.film: was not there for the first 4 pairs"):
        build(stand.context(tmp_path, done=4))
    results = [stand.result(i) for i in range(8)]
    with build(stand.context(tmp_path)) as sink:
        stand.write(sink, results[:4])
    # it was left out between pairs 4 and 8
    with pytest.raises(ConfigError, match="for the first 8 pairs"):
        build(stand.context(tmp_path, done=8))
    assert len(build(stand.context(tmp_path, done=4))._parts.whole) == 1


@pytest.mark.parametrize("size", [100, 2000, 20_000])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, size):
    with (
        build(stand.context(tmp_path)) as sink,
        stand.full_disk(size),
        pytest.raises(DataError, match=r"film\.parts/\d+\.mp4: cannot be written \(File too large"),
    ):
        stand.write(sink, [stand.result(i) for i in range(50)], every=25)


def test_a_disk_that_is_full_when_the_parts_are_joined(tmp_path):
    results = [stand.result(i) for i in range(8)]
    whole = film(stand.run(build, tmp_path / "whole", results))
    sink = build(stand.context(tmp_path / "run"))
    stand.write(sink, results)
    with (
        stand.full_disk(2000),
        pytest.raises(DataError, match=r"film\.parts/whole\.mp4: cannot be written"),
    ):
        sink.finish(stand.summary(8))
    sink.__exit__(None, None, None)
    assert not (tmp_path / "run" / "video" / "film.mp4").exists()
    with build(stand.context(tmp_path / "run", done=8)) as again:
        again.finish(stand.summary(8))
    assert same(film(tmp_path / "run"), whole)


def test_a_part_that_was_encoded_otherwise(tmp_path):
    with build(stand.context(tmp_path)) as sink:
        stand.write(sink, [stand.result(i) for i in range(8)])
        other = tmp_path / "video" / "film.parts" / "000004-000007.mp4"
        write_video(other, [0, 40], 25, codec="libx264", size=(96, 32))
        with pytest.raises(DataError, match="encoded otherwise"):
            sink.finish(stand.summary(8))
    other.write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"000004-000007\.mp4: damaged"):
        build(stand.context(tmp_path, done=8))
