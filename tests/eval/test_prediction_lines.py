"""Large files of runs, read block by block, against the same read as a whole."""

import json

import numpy as np
import pytest

from common.errors import DataError
from eval import prediction_lines, predictions
from eval.coco_files import read_predictions
from eval.prediction_lines import read_prediction_lines
from eval.predictions import Predictions, read_columns
from tests.eval.predictions import images
from tests.eval.predictions import predictions as entries

GOOD = '{"image_id": 7, "category_id": 0, "bbox": [1.5, 2.0, 3.0, 4.0], "score": 0.5}'
TRUTH = {"images": images(7, 3), "annotations": [], "categories": [{"id": 0, "name": "person"}]}


def read(path, text):
    path.write_text(text)
    return read_prediction_lines(path, np.array([7, 3]), np.array([0]))


@pytest.mark.parametrize("block", [1, 300, 1 << 20])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_columns_are_those_of_the_whole_file(tmp_path, monkeypatch, block, count):
    monkeypatch.setattr(prediction_lines, "_BLOCK", block)
    monkeypatch.setattr(predictions, "_LARGE", 0)
    monkeypatch.setattr(predictions, "read_predictions", lambda *_, **__: pytest.fail("whole"))
    random = np.random.default_rng(0)
    boxes = (random.random((count, 4)) * 90).tolist()
    rows = [(int(random.choice([7, 3])), 0, float(random.random()), *box) for box in boxes]
    path = tmp_path / "ir.json"
    lines = ",\n".join(map(json.dumps, entries(*rows)))
    path.write_text(f"[{lines}]\n")
    ids = {7: 70, 3: 30}
    found = read_columns(path, TRUTH, image_ids=ids)
    whole = Predictions.of(read_predictions(path, TRUTH, image_ids=ids))
    for name in ("image_id", "category_id", "bbox", "score"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), strict=True)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[", f"[{GOOD}]", f"[{GOOD},\n", f"[{GOOD}]\n[]\n", f"[{GOOD},\n{GOOD}]\n{GOOD}"),
        *(f"[{GOOD}{GOOD}]\n", f"[{GOOD}\n{GOOD}]\n", f"[{GOOD}, {GOOD}]\n", f"[{GOOD},]\n"),
        *(f"[{GOOD},\n]\n", f"[{GOOD},\n,\n{GOOD}]\n", f'{{"a": {GOOD}}}\n', "[1]\n", "[\xff]\n"),
    ],
)
def test_files_that_are_written_otherwise_are_left_to_the_other_reader(tmp_path, text):
    assert read(tmp_path / "ir.json", text) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(("0.5", "1.5"), ("0.5", "-0.1"), ("0.5", "null"), ("0.5", '"0.5"'), ("0.5", "NaN")),
        *((": 7", ": 8"), (": 7", ": 7.0"), (": 7", ": true"), (": 0,", ": 1,")),
        *((", 4.0", ""), ("4.0", "4.0, 5.0"), ("4.0", "-4.0"), ("4.0", "null"), ("4.0", "1e999")),
        *(('"score"', '"scores"'), ("0.5}", '0.5, "x": 1}'), (', "score": 0.5', "")),
    ],
)
def test_so_are_entries_with_a_problem(tmp_path, old, new):
    bad = GOOD.replace(old, new)
    assert bad != GOOD
    assert read(tmp_path / "ir.json", f"[{GOOD},\n{GOOD}]\n") is not None
    assert read(tmp_path / "ir.json", f"[{GOOD},\n{bad}]\n") is None


def test_the_problem_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions, "_LARGE", 0)
    path = tmp_path / "ir.json"
    path.write_text(f"[{GOOD},\n{GOOD.replace('0.5', '1.5')}]\n")
    with pytest.raises(DataError, match=r"ir\.json:2: \[1\]: score 1\.5 must be a number in"):
        read_columns(path, TRUTH)
