import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow.parquet import ParquetFile

from common.errors import ConfigError, DataError
from pipeline.sinks import parquet
from tests.helpers import stand


def build(context):
    return parquet.build(parquet.Config(), context, "all")


def test_a_row_has_the_pair_and_the_detection(tmp_path):
    boxes = stand.found((1.23456, 2, 3, 4, 0.1, 0), (0, 0, 1, 1, 0.5, 77))
    detections = {"fused": boxes, "ir": boxes[np.array([1])], "late": stand.found()}
    results = [
        stand.result(0, 10**18 + 1, detections=detections),
        stand.result(1, 10**18 + 2, detections={}),
    ]
    stand.run(build, tmp_path / "run", results)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["all.parquet"]
    table = pd.read_parquet(tmp_path / "run" / "all.parquet")
    assert table.to_dict("records") == [
        {
            "key": "000000", "number": 0, "time_ns": 10**18 + 1, "arm": arm, "class_id": number,
            "class": name, "score": np.float32(score), "x1": np.float32(x1), "y1": y1, "x2": x2,
            "y2": y2,
        }
        for arm, number, name, score, x1, y1, x2, y2 in [
            ("fused", 0, "person", 0.1, 1.23456, 2, 3, 4),
            ("fused", 77, "77", 0.5, 0, 0, 1, 1),
            ("ir", 77, "77", 0.5, 0, 0, 1, 1),
        ]
    ]  # fmt: skip


def test_the_metadata_say_how_many_pairs_there_were(tmp_path):
    nothing = {"fused": stand.found()}
    results = [stand.result(i, detections=nothing) for i in range(9)]
    for folder in (
        stand.run(build, tmp_path / "run", results),
        stand.broken_run(build, tmp_path / "broken", results, [6]),
    ):
        with ParquetFile(folder / "all.parquet") as file:
            assert file.metadata.num_rows == 0
            about = file.schema_arrow.metadata
            assert about[b"pairs"] == b"9"
            assert json.loads(about[b"arms"]) == ["fused", "ir", "late"]


def test_columns_are_plain_and_texts_are_dictionaries(tmp_path):
    stand.run(build, tmp_path / "run", [stand.result(i) for i in range(9)])
    with ParquetFile(tmp_path / "run" / "all.parquet") as file:
        types = {field.name: field.type for field in file.schema_arrow}
        group = file.metadata.row_group(0)
        columns = [group.column(i) for i in range(group.num_columns)]
        assert file.metadata.num_row_groups == 1
    assert types["arm"] == types["key"] == types["class"] == pa.string()
    assert types["score"] == types["x1"] == pa.float32()
    coded = [column.path_in_schema for column in columns if column.has_dictionary_page]
    assert {"key", "arm", "class"} <= set(coded)


def test_keys_of_any_text(tmp_path):
    keys = ['a "quoted" key', "Straße 🚗\n", "\udcff"]
    stand.run(build, tmp_path / "run", [stand.result(i, key=key) for i, key in enumerate(keys)])
    table = pd.read_parquet(tmp_path / "run" / "all.parquet")
    assert table["key"].unique().tolist() == [*keys[:2], "\\udcff"]
    assert table["time_ns"].isna().all()


def test_a_resumed_file_is_that_of_an_unbroken_run(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 7)
    results = [stand.result(i, i * 40_000_000) for i in range(11)]
    whole = stand.files(stand.run(build, tmp_path / "whole", results))
    assert list(whole) == ["all.parquet"]
    for kill in range(11):
        broken = stand.broken_run(build, tmp_path / f"broken{kill}", results, [kill])
        assert stand.files(broken) == whole
    with ParquetFile(tmp_path / "whole" / "all.parquet") as file:
        assert file.metadata.num_row_groups > 1
        numbers = file.read()["number"].to_pylist()
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(11))


def test_a_broken_run_leaves_parts_that_can_be_read(tmp_path):
    sink = build(stand.context(tmp_path))
    stand.write(sink, [stand.result(i) for i in range(10)])
    parts = sorted((tmp_path / "all.parts").iterdir())
    assert [path.name for path in parts] == [
        "000000-000003.parquet", "000004-000007.parquet", "000008.parquet",
    ]  # fmt: skip
    assert pd.read_parquet(parts[1])["number"].unique().tolist() == [4, 5, 6, 7]
    sink.__exit__(None, None, None)


def test_it_cannot_join_a_run_that_is_resumed_nor_do_without_detector(tmp_path):
    with pytest.raises(ConfigError, match=r"sinks\.all: has not received the first 4 pairs"):
        build(stand.context(tmp_path, done=4))
    with pytest.raises(ConfigError, match="without a detector"):
        build(stand.context(tmp_path, detector=None))


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    with (
        build(stand.context(tmp_path)) as sink,
        stand.full_disk(1000),
        pytest.raises(DataError, match=r"000000\.parquet: cannot be written \(.*File too large"),
    ):
        stand.write(sink, [stand.result(i) for i in range(100)])
