import shutil
import tracemalloc

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from pipeline.sinks import mot
from tests.helpers import stand

MS = 1_000_000


def builder(**settings):
    return lambda context: mot.build(mot.Config(**settings), context, "mot")


build = builder()


def run(tmp_path, frames, times=None, make=build):
    """Lines of one arm, each of a row of numbers; ``frames`` has a list of boxes a pair."""
    times = times or [i * 40 * MS for i in range(len(frames))]
    results = [
        stand.result(
            i, time, detections={arm: stand.found(*rows) for arm in ("fused", "ir", "late")}
        )
        for i, (rows, time) in enumerate(zip(frames, times, strict=True))
    ]
    stand.run(make, tmp_path / "run", results)
    text = (tmp_path / "run" / "mot" / "ir.txt").read_text()
    return [[float(value) for value in line.split(",")] for line in text.splitlines()]


def moving(number, score=0.9, class_id=0, step=2):
    return (10 + step * number, 5, 30 + step * number, 45.5, score, class_id)


def crowded(count):
    """People and cars that move, flicker and vanish for a while, by seeded chance."""
    rng = np.random.default_rng(7)
    speed, place = rng.uniform(-3, 3, (8, 2)), rng.uniform(0, 400, (8, 2))
    frames = []
    for i in range(count):
        rows = [
            (
                *(place[k] + i * speed[k]),
                *(place[k] + i * speed[k] + 30),
                rng.uniform(0.05, 1),
                k % 3,
            )
            for k in range(8)
            if rng.random() > 0.25
        ]
        frames.append(rows)
    return frames


def test_columns(tmp_path):
    lines = run(tmp_path, [[moving(i, 0.75, 2)] for i in range(3)])
    assert lines == [
        [2, 1, 12, 5, 20, 40.5, 0.75, 3, -1, -1],
        [3, 1, 14, 5, 20, 40.5, 0.75, 3, -1, -1],
    ]
    left = {path.name for path in (tmp_path / "run" / "mot").iterdir()}
    assert left == {"fused.txt", "ir.txt", "late.txt"}


def test_another_program_reads_it(tmp_path):
    from trackers.io.mot import load_mot_file  # half a second, which only this process takes

    run(tmp_path, [[moving(i), (200, 100, 240, 180, 0.5, 0)] for i in range(5)])
    frames = load_mot_file(tmp_path / "run" / "mot" / "fused.txt")
    assert sorted(frames) == [2, 3, 4, 5]
    assert frames[5].ids.tolist() == [1, 2]
    assert frames[5].boxes.tolist() == [[18, 5, 20, 40.5], [200, 100, 40, 80]]
    assert frames[5].confidences.tolist() == [0.9, 0.5]
    assert frames[5].classes.tolist() == [1, 1]


def test_a_person_never_becomes_a_car(tmp_path):
    """In the place where the person was there is a car: another track, though the boxes agree."""
    frames = [[moving(i)] for i in range(4)] + [[moving(i, class_id=2)] for i in range(4, 8)]
    lines = run(tmp_path, frames)
    assert [(line[0], line[1], line[7]) for line in lines] == [
        (2, 1, 1), (3, 1, 1), (4, 1, 1), (6, 2, 3), (7, 2, 3), (8, 2, 3),
    ]  # fmt: skip


def test_ids_are_unique_over_the_classes_of_an_arm(tmp_path):
    frames = [[(60 * k, 0, 60 * k + 40, 40, 0.9, k % 3) for k in range(6)] for _ in range(3)]
    lines = run(tmp_path, frames)
    assert [line[1] for line in lines] == [1, 2, 3, 4, 5, 6] * 2
    assert sorted({(line[1], line[7], line[2]) for line in lines}) == [
        (1, 1, 0), (2, 1, 180), (3, 2, 60), (4, 2, 240), (5, 3, 120), (6, 3, 300),
    ]  # fmt: skip


@pytest.mark.parametrize(("gap", "ids"), [(29, {1}), (32, {1, 2})])
def test_a_lost_track_is_kept_for_so_many_frames(tmp_path, gap, ids):
    there = [[(10, 5, 30, 45, 0.9, 0)]] * 3
    lines = run(tmp_path, [*there, *[[]] * gap, *there])
    assert {line[1] for line in lines} == ids
    stills = run(tmp_path / "stills", [*there, *[[]] * gap, *there], [None] * (gap + 6))
    assert {line[1] for line in stills} == ids


def test_a_gap_in_time_counts_though_no_frame_is_there(tmp_path):
    there = [[(10, 5, 30, 45, 0.9, 0)]] * 6
    times = [i * 40 * MS + (i > 2) * 5_000 * MS for i in range(6)]
    assert {line[1] for line in run(tmp_path, there, times)} == {1, 2}


def test_scores_begin_and_continue_tracks(tmp_path):
    scores = [0.2, 0.2, 0.3, 0.15, 0.15, 0.05, 0.15]
    lines = run(tmp_path, [[(10, 5, 30, 45, score, 0)] for score in scores])
    assert [line[0] for line in lines] == [4, 5, 7]
    lower = builder(conf=0.01, new_conf=0.1)
    lines = run(tmp_path / "lower", [[(10, 5, 30, 45, s, 0)] for s in scores], make=lower)
    assert [line[0] for line in lines] == [2, 3, 4, 5, 6, 7]


@pytest.mark.filterwarnings("error")
def test_equal_and_decreasing_times(tmp_path):
    times = [MS * t for t in (0, 40, 40, 40, 20, 80, 120)]
    lines = run(tmp_path, [[moving(i, step=0.5)] for i in range(7)], times)
    assert [line[:2] for line in lines] == [[i, 1] for i in range(2, 8)]


@pytest.mark.parametrize("timed", [True, False])
def test_a_resumed_run_gives_the_same_tracks(tmp_path, timed):
    frames = crowded(40)
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(0, 90 * MS, len(frames))).tolist()
    results = [
        stand.result(
            i,
            times[i] if timed else None,
            detections={
                "fused": stand.found(*rows),
                "ir": stand.found(*rows[:4]),
                "late": stand.found(),
            },
        )
        for i, rows in enumerate(frames)
    ]
    whole = stand.files(stand.run(build, tmp_path / "whole", results))
    assert sorted(whole) == ["mot/fused.txt", "mot/ir.txt", "mot/late.txt"]
    assert whole["mot/late.txt"] == b""
    for kill in (3, 17, 30):
        broken = stand.broken_run(build, tmp_path / f"broken{kill}", results, [kill])
        assert stand.files(broken) == whole
    assert stand.files(stand.broken_run(build, tmp_path / "more", results, [9, 33])) == whole


def test_a_kill_while_it_ends(tmp_path, monkeypatch):
    results = [stand.result(i) for i in range(8)]
    whole = stand.files(stand.run(build, tmp_path / "whole", results))
    sink = build(stand.context(tmp_path / "run"))
    stand.write(sink, results)
    shutil.copytree(tmp_path / "run", tmp_path / "before")
    sink.finish(stand.summary(8))
    for folder in (tmp_path / "run", tmp_path / "before"):
        again = build(stand.context(folder, done=8))
        again.finish(stand.summary(8))
        again.__exit__(None, None, None)
        assert stand.files(folder) == whole
    with pytest.raises(DataError, match="the source has more pairs now"):
        build(stand.context(tmp_path / "run", done=8)).write(stand.result(8))


def test_memory_does_not_grow_with_the_number_of_tracks(tmp_path):
    """Each object is there for three frames; 300 of them leave nothing behind."""

    def result(i):
        box = (50 * (i // 3 % 7), 5, 50 * (i // 3 % 7) + 40, 45, 0.9, 0)
        return stand.result(i, i * 10**9, detections={"fused": stand.found(box)})

    with builder(arms=("fused",))(stand.context(tmp_path)) as sink:
        stand.write(sink, [result(i) for i in range(300)])
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for i in range(300, 600):
            sink.write(result(i))
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 20_000
    assert int((tmp_path / "mot" / "fused.txt").read_text().splitlines()[-1].split(",")[1]) >= 150


def test_what_it_needs(tmp_path):
    with pytest.raises(ConfigError, match="without a detector"):
        build(stand.context(tmp_path, detector=None))
    with pytest.raises(ConfigError, match=r"sinks\.mot: has not received the first 4 pairs"):
        build(stand.context(tmp_path, done=4))


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    with (
        build(stand.context(tmp_path)) as sink,
        stand.full_disk(1000),
        pytest.raises(DataError, match=r"mot/\w+\.\w+: cannot be written \(File too large\)"),
    ):
        stand.write(sink, [stand.result(i) for i in range(100)])
