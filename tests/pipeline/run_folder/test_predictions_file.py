"""The bytes of predictions against json.dumps, and their numbers against Python's round."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.errors import DataError
from detection.boxes import Detections
from pipeline.run_folder.predictions_file import PredictionsFile, as_written
from tests.eval.predictions import detections_json
from tests.helpers.stand import found, full_disk

numbers = st.one_of(
    st.floats(-1e4, 1e4, width=32),
    st.integers(-(2**14), 2**14).map(lambda n: n / 16),  # halves of a thousandth
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
rows = st.lists(st.tuples(*[numbers] * 4, st.floats(0, 1, width=32), st.integers(0, 99)))


def written(path, detections):
    """The text of all detections, of image 7."""
    numbers = as_written(detections, np.full(len(detections), 7, np.int64))
    with PredictionsFile(path) as file:
        file.extend(numbers)
    return path.read_text()


@settings(max_examples=60, deadline=None)
@given(rows)
@example([(0.0625, 0.1875, 1e-5, 700.25, 9.9e-5, 2), (-0.0, 0, 3e38, -3e38, 1e-7, 0)])
@example([(0.0, 0, 0, 0, 1.0, 0)])
def test_bytes_are_those_of_json_and_numbers_those_of_round(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("coco") / "ir.json"
    entries = detections_json(7, found(*rows))
    lines = ",\n".join(map(json.dumps, entries))
    assert written(path, found(*rows)) == f"[{lines}]\n"
    assert [np.float32(entry["score"]) for entry in entries] == found(*rows).score.tolist()


def test_thousands_of_boxes(tmp_path):
    random = np.random.default_rng(0)
    corner = random.random((3000, 2)) * 600
    xyxy = np.concatenate([corner, corner + random.random((3000, 2)) * 90], axis=1)
    many = Detections(
        xyxy.astype(np.float32), random.random(3000, np.float32), random.integers(0, 3, 3000)
    )
    assert json.loads(written(tmp_path / "ir.json", many)) == detections_json(7, many)


@pytest.mark.parametrize("counts", [[], [0], [1], [2, 0, 3]])
def test_entries_are_a_line_each_however_many_come_at_once(tmp_path, counts):
    path = tmp_path / "predictions" / "ir.json"
    one = found((1, 2, 3, 4, 0.5, 0))
    with PredictionsFile(path) as file:
        for count in counts:
            file.extend(as_written(Detections.concatenate([one] * count), np.full(count, 7)))
    assert json.loads(path.read_text()) == detections_json(7, one) * sum(counts)
    assert path.read_text().count("\n") == max(1, sum(counts))


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    many = Detections.concatenate([found((1, 2, 3, 4, 0.5, 0))] * 1000)
    with full_disk(1000), pytest.raises(DataError, match=r"ir\.json: cannot be written"):
        written(tmp_path / "ir.json", many)
