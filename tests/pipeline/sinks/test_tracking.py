import json

import pytest

from common.errors import ConfigError, DataError
from pipeline.sinks import mlflow, tensorboard
from pipeline.sinks._tracking import Record, check_outside, final_folder, numbers, read_record
from tests.helpers import stand

RESULTS = {
    "protocol": {"fingerprint": "abc"},
    "arms": {
        "a.b-c": {
            "detection": {
                "yolo": {
                    "precision": 0.5, "recall": 0.25, "map50": 0.1, "map50_95": None, "labels": 3,
                },
                "coco": {"map50": 0.2, "map50_95": None},
                "ci95": {"precision": [0, 1]},
            },
            "quality": {"en": 7, "ms_ssim": None},
        },
        "ir": {"detection": None, "quality": {}},
    },
    "frames": {"paired": 6, "failed": 0},
    "objects": {"scored": 3, "labelled": 4},
}  # fmt: skip
TIMING = {
    "wall_s": 2.5,
    "stages": {"decode ir": {"busy_s": 0.5, "wait_s": 9.0}, "write": {"busy_s": 0, "wait_s": 0.0}},
    "arms_ms_per_pair": {"a.b-c": {"fuse": 1.5, "detect": 2}, "ir": {}},
}
NUMBERS = {
    "detection/a.b-c/precision": 0.5,
    "detection/a.b-c/recall": 0.25,
    "detection/a.b-c/map50": 0.1,
    "detection/a.b-c/coco_map50": 0.2,
    "quality/a.b-c/en": 7.0,
    "frames/paired": 6.0,
    "frames/failed": 0.0,
    "objects/scored": 3.0,
    "objects/labelled": 4.0,
    "ms_per_pair/a.b-c/fuse": 1.5,
    "ms_per_pair/a.b-c/detect": 2.0,
    "busy_s/decode ir": 0.5,
    "busy_s/write": 0.0,
    "wall_s": 2.5,
}


def test_every_number_has_a_name_and_those_not_defined_are_left_out():
    found = numbers(Record(RESULTS, TIMING, ""))
    assert found == NUMBERS
    assert all(type(value) is float for value in found.values())


def test_a_record_is_what_is_in_the_folder(tmp_path):
    (tmp_path / "timing.json").write_text(json.dumps(TIMING))
    (tmp_path / "config.yaml").write_text("run: {name: Straße}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"sinks\.log: .*add sinks\.results\.kind=results"):
        read_record(tmp_path, "log")
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    record = read_record(tmp_path, "log")
    assert record == Record(RESULTS, TIMING, "run: {name: Straße}\n")
    assert record.fingerprint == "abc"


@pytest.mark.parametrize("where", ["runs/toy", "runs/toy/logs", "runs/x/../toy"])
def test_nothing_may_be_where_the_run_folder_will_be(tmp_path, where):
    context = stand.context(tmp_path / "runs" / "toy.partial")
    assert final_folder(context) == tmp_path / "runs" / "toy"
    with pytest.raises(ConfigError, match=r"sinks\.log\.folder: .*toy.* is the run's own"):
        check_outside(tmp_path / where, context, "sinks.log.folder")
    for apart in ("runs/toy-2", "logs/toy", "runs"):
        check_outside(tmp_path / apart, context, "sinks.log.folder")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", {"arms": {"ir": {"detection": {"yolo": {}}}}}),
        ("results.json", {"arms": 3}),
        ("results.json", {"protocol": {}}),
        ("results.json", {"frames": {"paired": "many"}}),
        ("results.json", b"[]"),
        ("results.json", b"\xff"),
        ("timing.json", b'{"stages": {}'),
        ("config.yaml", b"\xff"),
        ("config.yaml", b"a: !!int ''"),
        ("config.yaml", b"- 1"),
    ],
)
def test_files_that_are_changed_while_a_run_ends(tmp_path, name, content):
    protocol = {
        "fingerprint": "abc", "detector": None, "versions": {"irvis": "0"}, "preset": "p"
    }  # fmt: skip
    whole = RESULTS | {"protocol": protocol, "warnings": []}
    if isinstance(content, dict):
        content = json.dumps(whole | content).encode()
    (tmp_path / "results.json").write_text(json.dumps(whole))
    (tmp_path / "timing.json").write_text(json.dumps(TIMING))
    (tmp_path / "config.yaml").write_text("run: {name: a}\n")
    (tmp_path / name).write_bytes(content)
    context = stand.context(tmp_path)
    sinks = [mlflow.MlflowSink(mlflow.Config(), context, "log", None, "1")]
    if name != "config.yaml" or content == b"\xff":  # which TensorBoard shows as it is
        sinks.append(tensorboard.TensorBoardSink(None, context, "tb"))
    for sink in sinks:
        with pytest.raises(DataError, match=name.replace(".", r"\.")) as error:
            sink.publish("run")
        assert "\n" not in str(error.value)
