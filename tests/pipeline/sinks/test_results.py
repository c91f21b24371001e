import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from eval.labels import Labels
from pipeline.engine.evaluation import evaluate
from pipeline.sinks.results import ResultsSink
from tests.helpers import stand


class Scored(ResultsSink):
    """The sink, and the evaluation of what it wrote, as the runner does it."""

    def __init__(self, context):
        super().__init__(context, "results")
        self._context = context

    def finish(self, summary):
        super().finish(summary)
        evaluate(self._context, summary)


def builder(**more):
    def build(context):
        values = {name: getattr(context, name) for name in ("folder", "done")}
        return Scored(stand.context(**values, **more))

    return build


def labels(number):
    box = np.array([[4.0 + number, 8, 16.25 + number, 20]])
    return Labels(box, np.zeros(1, np.int64), np.zeros((0, 4)))


def pair(number, **more):
    quality = {"fused": {"entropy": number / 7, "psnr": float("nan")}}
    return stand.result(number, labels=labels(number), quality=quality, **more)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("kill", [0, 3, 9])
def test_a_resumed_run_gives_the_same_files(tmp_path, labelled, kill):
    build = builder(labelled=labelled)
    pairs = [pair(i) for i in range(10)]
    whole = stand.files(stand.run(build, tmp_path / "whole", pairs))
    assert set(whole) >= {"results.json", "results.csv", "ground_truth.json", "quality.csv"}
    assert ("curves.json" in whole) == labelled
    assert stand.files(stand.broken_run(build, tmp_path / "broken", pairs, [kill])) == whole


def test_a_kill_while_it_ends(tmp_path):
    build = builder(labelled=True)
    whole = stand.files(stand.run(build, tmp_path / "run", [pair(i) for i in range(4)]))
    (tmp_path / "run" / "results.json").write_text("{")
    (tmp_path / "run" / "curves.json").unlink()
    with build(stand.context(tmp_path / "run", done=4)) as again:
        again.finish(stand.summary(4))
    assert stand.files(tmp_path / "run") == whole


def test_quality_is_a_row_a_pair(tmp_path):
    stand.run(builder(), tmp_path / "run", [pair(i) for i in range(3)])
    assert (tmp_path / "run" / "quality.csv").read_text().splitlines() == [
        "arm,key,entropy,psnr", "fused,000000,0.0,", f"fused,000001,{1 / 7},",
        f"fused,000002,{2 / 7},",
    ]  # fmt: skip
    arms = json.loads((tmp_path / "run" / "results.json").read_text())["arms"]
    assert arms["fused"]["quality"] == {"entropy": pytest.approx(1 / 7), "psnr": None}
    assert arms["ir"]["quality"] == {}


def test_ignore_regions_count_where_nothing_is_labelled(tmp_path):
    """Labels without objects are no missing labels."""
    region = Labels(np.zeros((0, 4)), np.zeros(0, np.int64), np.array([[0.0, 0, 30, 30]]))
    inside = stand.found((4, 8, 16, 20, 0.9, 0), (40, 8, 50, 20, 0.8, 0))
    result = stand.result(
        0, labels=region, detections={"fused": inside, "ir": inside, "late": inside}
    )
    stand.run(builder(labelled=True, classes=(0,)), tmp_path / "run", [result])
    truth = json.loads((tmp_path / "run" / "ground_truth.json").read_text())
    assert [(entry["iscrowd"], entry["bbox"]) for entry in truth["annotations"]] == [
        (1, [0, 0, 30, 30])
    ]
    left = json.loads((tmp_path / "run" / "predictions" / "ir.json").read_text())
    assert [entry["bbox"] for entry in left] == [[40, 8, 10, 12]]


@pytest.mark.parametrize("more", [{"labelled": False}, {"labelled": True, "detector": None}])
def test_memory_at_the_end_hardly_grows_with_the_frames(tmp_path, more, monkeypatch):
    """Where nothing is scored: of each pair a key, a short text of the labels, and one arm's two
    detections as columns are left."""
    monkeypatch.setattr("pipeline.engine.scoring._BLOCK", 16)
    detections = {} if "detector" in more else None

    def peak(pairs):
        log = tmp_path / str(pairs) / "frames.jsonl"
        with builder(**more)(stand.context(log.parent)) as sink:
            sink.write(stand.result(0, labels=labels(0), detections=detections))
            first = log.read_text()
            log.write_text("".join(first.replace("000000", f"{i:06d}") for i in range(pairs)))
            for path in log.parent.glob("predictions/*.log"):
                path.write_bytes(path.read_bytes() * pairs)
            tracemalloc.start()
            sink.finish(stand.summary(pairs))
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most

    assert peak(900) - peak(300) < 600 * 500


def test_it_cannot_join_a_run_that_is_resumed(tmp_path):
    with pytest.raises(ConfigError, match=r"sinks\.results: has not received the first 4 pairs"):
        builder()(stand.context(tmp_path, done=4))


def test_a_log_without_the_labels_of_a_camera_is_damaged(tmp_path):
    folder = stand.run(builder(labelled=True), tmp_path / "run", [pair(i) for i in range(4)])
    first = json.loads((folder / "frames.jsonl").read_text().splitlines()[0])
    assert list(first) == [
        "key", "size", "light", "dead", "shift", "xyxy", "class_id", "ignore", "detections",
        "quality",
    ]  # fmt: skip
    own = {"own_labels": ("ir",), "truths": {"ir": "ir"}, "labelled": True}
    with pytest.raises(DataError, match=r"frames\.jsonl:1 is damaged .*own_labels.*new run"):
        builder(**own)(stand.context(folder, done=4))


@pytest.mark.parametrize("size", [100, 3000])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, size):
    with (
        builder()(stand.context(tmp_path)) as sink,
        stand.full_disk(size),
        pytest.raises(DataError, match=r"frames\.jsonl: cannot be written \(File too large\)"),
    ):
        stand.write(sink, [pair(i) for i in range(100)])


def test_a_disk_that_is_full_at_the_end(tmp_path):
    with builder()(stand.context(tmp_path)) as sink:
        stand.write(sink, [pair(i) for i in range(20)])
        with (
            stand.full_disk(500),
            pytest.raises(DataError, match=r"ground_truth\.json: cannot be written"),
        ):
            sink.finish(stand.summary(20))


@pytest.mark.parametrize("labelled", [True, False])
def test_no_number_counts_what_one_camera_alone_shows(tmp_path, labelled):
    pairs = [pair(i) for i in range(6)]
    dead = replace(pairs[1], item=replace(pairs[1].item, dead="ir"))
    folder = stand.run(builder(labelled=labelled), tmp_path / "run", [pairs[0], dead, *pairs[2:]])
    truth = json.loads((folder / "ground_truth.json").read_text())
    found = json.loads((folder / "predictions" / "fused.json").read_text())
    # without labels nothing is scored, and what was found is kept
    numbers = [1, 3, 4, 5, 6] if labelled else [1, 2, 3, 4, 5, 6]
    assert [image["id"] for image in truth["images"]] == numbers
    assert sorted({entry["image_id"] for entry in found}) == numbers
    rows = (folder / "quality.csv").read_text().splitlines()[1:]
    assert len(rows) == len(numbers)
    assert (folder / "pairs.csv").read_text().splitlines()[2] == "000001,ir,,,"
