import json

import pytest

from common.errors import ConfigError, DataError
from pipeline.sinks import jsonl
from tests.helpers import stand


def build(context):
    return jsonl.build(jsonl.Config(), context, "all")


def lines(folder):
    return [json.loads(line) for line in (folder / "all.jsonl").read_text().splitlines()]


def test_a_line_has_the_pair_and_every_detection(tmp_path):
    boxes = stand.found((1.23456, 2, 3, 4, 0.1, 0), (5, 6, 7, 8, 1, 2), (0, 0, 1, 1, 0.5, 77))
    detections = {"fused": boxes, "ir": stand.found()}
    stand.run(build, tmp_path / "run", [stand.result(0, 10**9 + 1, detections=detections)])
    assert lines(tmp_path / "run") == [
        {
            "key": "000000",
            "number": 0,
            "time_ns": 10**9 + 1,
            "ir_frame": 0,
            "vis_frame": 0,
            "detections": {
                "fused": [
                    {"xyxy": [1.235, 2, 3, 4], "score": 0.1, "class_id": 0, "class": "person"},
                    {"xyxy": [5, 6, 7, 8], "score": 1, "class_id": 2, "class": "car"},
                    {"xyxy": [0, 0, 1, 1], "score": 0.5, "class_id": 77, "class": "77"},
                ],
                "ir": [],
            },
        }
    ]


def test_keys_of_any_text_and_pairs_without_detections(tmp_path):
    keys = ['a "quoted" key', "Straße 🚗\n", "\udcff"]
    results = [stand.result(i, key=key, detections={}) for i, key in enumerate(keys)]
    found = lines(stand.run(build, tmp_path / "run", results))
    assert [line["key"] for line in found] == keys
    assert [line["number"] for line in found] == [0, 1, 2]
    assert [line["ir_frame"] for line in found] == [0, 2, 4]
    assert all(line["detections"] == {} and line["time_ns"] is None for line in found)


def test_a_resumed_file_is_that_of_an_unbroken_run(tmp_path):
    results = [stand.result(i, i * 40_000_000) for i in range(11)]
    whole = stand.files(stand.run(build, tmp_path / "whole", results))
    for kill in range(11):
        broken = stand.broken_run(build, tmp_path / f"broken{kill}", results, [kill])
        assert stand.files(broken) == whole
    twice = stand.broken_run(build, tmp_path / "twice", results, [5, 6, 10])
    assert stand.files(twice) == whole


def test_a_line_is_on_disk_when_it_is_written(tmp_path):
    with build(stand.context(tmp_path)) as sink:
        sink.write(stand.result(0))
        assert len(lines(tmp_path)) == 1


def test_it_cannot_join_a_run_that_is_resumed(tmp_path):
    with pytest.raises(ConfigError, match=r"sinks\.all: has not received the first 4 pairs"):
        build(stand.context(tmp_path, done=4))
    with pytest.raises(ConfigError, match="rename the sink"):
        jsonl.build(jsonl.Config(), stand.context(tmp_path), "frames")


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    with (
        build(stand.context(tmp_path)) as sink,
        stand.full_disk(1000),
        pytest.raises(DataError, match=r"all\.jsonl: cannot be written \(File too large\)"),
    ):
        stand.write(sink, [stand.result(i) for i in range(100)])
    assert (tmp_path / "all.jsonl").stat().st_size == 1000
