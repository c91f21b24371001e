"""What is on disk is what is scored: reading it back, and every mistake in it."""

import copy
import json
import re

import pytest

from common.errors import DataError
from eval.coco_files import read_ground_truth, read_predictions
from eval.coco_labels import read_coco_labels
from tests.eval.predictions import detections_json

GOOD = {"image_id": 1, "category_id": 0, "bbox": [0, 0, 5, 5], "score": 0.5}
GOOD_TEXT = json.dumps(GOOD)


@pytest.fixture
def truth(labels, ground_truth):
    return ground_truth(labels((0, 0.1, 0.2, 9.7, 9), ignore=[(20, 20, 30, 30)]))


def write(path, data):
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_files_come_back_the_same(tmp_path, truth, detections):
    assert read_ground_truth(write(tmp_path / "gt.json", truth)) == truth
    found = detections_json(1, detections((0, 0.3, 0.5, 0, 7, 9)))
    assert read_predictions(write(tmp_path / "fused.json", found), truth) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 9}, r"\[1\]: image_id 9 is not in the ground truth, which has 1"),
        ({"image_id": "1"}, r"\[1\]: image_id '1' is not"),
        ({"image_id": True}, r"\[1\]: image_id True is not"),
        ({"category_id": 5}, r"\[1\]: category_id 5 is not in the ground truth, which has 0, 2"),
        ({"score": 1.5}, r"\[1\]: score 1.5 must be a number in \[0, 1\]"),
        ({"score": float("nan")}, r"\[1\]: score nan"),
        ({"score": None}, r"\[1\]: score None"),
        ({"bbox": [0, 0, -1, 5]}, r"\[1\]: bbox \[0, 0, -1, 5\] must be four numbers"),
        ({"bbox": [0, 0, 5]}, r"\[1\]: bbox"),
        ({"bbox": [0, 0, 5, float("inf")]}, r"\[1\]: bbox"),
        ({"bbox": None}, r"\[1\]: bbox None"),
    ],
)
def test_wrong_prediction(tmp_path, truth, change, message):
    path = write(tmp_path / "fused.json", [GOOD, {**GOOD, **change}])
    with pytest.raises(DataError, match=re.escape(str(path)) + ":1: " + message):
        read_predictions(path, truth)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[BAD]", 1),
        ("\n\n[\n  BAD\n]", 4),
        ("[GOOD,\nGOOD\n,\n\nBAD, GOOD]", 5),
        ("[GOOD, BAD,\nGOOD]", 1),
        ("\ufeff[GOOD,\r\n BAD]", 2),
        (
            '[{"note": "],\\n[{", "more": [{}, [1,\n2]], "score": 1e0,' + GOOD_TEXT[1:] + ",\nBAD]",
            3,
        ),
    ],
)
def test_the_line_of_a_wrong_prediction(tmp_path, truth, text, line):
    """Where its entry begins, whatever the layout."""
    bad = json.dumps({**GOOD, "score": 2}, indent=1)
    text = text.replace("BAD", bad).replace("GOOD", GOOD_TEXT)
    path = tmp_path / "fused.json"
    path.write_bytes(text.encode())
    with pytest.raises(DataError, match=rf"fused\.json:{line}: \[\d\]: score 2 must"):
        read_predictions(path, truth)


def test_images_by_other_names(tmp_path, truth):
    path = write(tmp_path / "fused.json", [{**GOOD, "image_id": "a"}, {**GOOD, "image_id": 7}])
    read = read_predictions(path, truth, image_ids={"a": 1, 7: 1})
    assert [entry["image_id"] for entry in read] == [1, 1]
    with pytest.raises(DataError, match=r"\[1\]: image_id 7 is not in .*, which has a, 1;"):
        read_predictions(path, truth, image_ids={"a": 1, 1: 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[\n{]", r"fused.json:2: not JSON"),
        ("{}", "expected a list of predictions, got dict"),
        ("[3]", r":1: \[0\]: no object"),
    ],
)
def test_predictions_of_another_form(tmp_path, truth, text, message):
    with pytest.raises(DataError, match=message):
        read_predictions(write(tmp_path / "fused.json", text), truth)


def test_missing_file(tmp_path, truth):
    with pytest.raises(DataError, match="does not exist"):
        read_predictions(tmp_path / "none.json", truth)
    with pytest.raises(DataError, match="cannot be read"):
        read_ground_truth(tmp_path)


def put(*path, value):
    """A change of the data: set what is at the path."""

    def change(data):
        *parents, last = path
        for step in parents:
            data = data[step]
        data[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("images", value=3), "needs a list of objects 'images'"),
        (put("annotations", value=None), "needs a list of objects 'annotations'"),
        (put("categories", value=[3]), "categories must be"),
        (put("images", 0, "id", value=1.5), r"images\[0\]: id 1.5 must be a whole number"),
        (put("images", 0, "file_name", value=""), r"images\[0\]: no file_name"),
        (put("images", 0, "width", value=0), r"images\[0\]: width 0"),
        (lambda data: data["images"][0].pop("height"), r"images\[0\]: no size"),
        (put("annotations", 0, "image_id", value=4), r"annotations\[0\]: image_id 4 is not"),
        (put("annotations", 0, "category_id", value=1), r"annotations\[0\]: category_id 1 is not"),
        (put("annotations", 0, "category_id", value="a"), r"annotations\[0\]: category_id 'a'"),
        (put("annotations", 0, "bbox", value=[0, 0, 0, 5]), r"annotations\[0\]: bbox"),
        (put("annotations", 0, "bbox", value=[0, 0, float("nan"), 5]), r"annotations\[0\]: bbox"),
        (put("annotations", 0, "iscrowd", value=2), r"annotations\[0\]: iscrowd 2"),
        (put("annotations", 0, "ignore", value="yes"), r"annotations\[0\]: ignore 'yes'"),
        (put("annotations", 0, "area", value=-1), r"annotations\[0\]: area -1"),
        (put("categories", 1, "id", value=0), r"categories\[1\]: id 0 must be"),
        (lambda data: data["categories"][0].pop("name"), "classes lack names"),
    ],
)
def test_wrong_ground_truth(tmp_path, truth, change, message):
    data = copy.deepcopy(truth)
    change(data)
    with pytest.raises(DataError, match=message):
        read_ground_truth(write(tmp_path / "gt.json", data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("images", 1, "file_name", value=""), r"gt.json:10: images\[1\]: no file_name"),
        (put("annotations", 1, "area", value=-1), r"gt.json:32: annotations\[1\]: area -1"),
        (put("categories", 1, "id", value=0), r"gt.json:64: categories\[1\]: id 0 must be"),
    ],
)
def test_the_line_in_a_wrong_ground_truth(tmp_path, labels, ground_truth, change, message):
    box = (0, 0.1, 0.2, 9.7, 9)
    data = ground_truth(labels(box, box), labels(box))
    change(data)
    with pytest.raises(DataError, match=message):
        read_ground_truth(write(tmp_path / "gt.json", json.dumps(data, indent=1)))


def test_of_two_lists_of_one_name_the_last_is_read(tmp_path, truth):
    lists = ['"annotations": []', '"annotations": [\n{"id": 1}]']
    others = json.dumps({"images": truth["images"], "categories": truth["categories"]})
    path = write(tmp_path / "gt.json", f"{{{', '.join(lists)}, {others[1:]}")
    with pytest.raises(DataError, match=r"gt.json:2: annotations\[0\]: image_id None"):
        read_ground_truth(path)


def test_ground_truth_that_is_no_object(tmp_path):
    with pytest.raises(DataError, match="expected an object, got list"):
        read_ground_truth(write(tmp_path / "gt.json", []))


def test_optional_fields_are_filled_in(tmp_path, truth):
    data = copy.deepcopy(truth)
    for item in data["annotations"]:
        del item["area"]
    del data["annotations"][0]["iscrowd"]
    read = read_ground_truth(write(tmp_path / "gt.json", data))
    assert [a["iscrowd"] for a in read["annotations"]] == [0, 1, 1]
    assert read["annotations"][1]["area"] == 100


@pytest.mark.parametrize(("crowd", "ignore", "expected"), [(0, 1, 1), (1, 0, 1), (0, 0, 0)])
def test_what_other_tools_call_ignore_is_a_region(tmp_path, truth, crowd, ignore, expected):
    data = copy.deepcopy(truth)
    data["annotations"][0] |= {"iscrowd": crowd, "ignore": ignore}
    path = write(tmp_path / "gt.json", data)
    assert read_ground_truth(path)["annotations"][0]["iscrowd"] == expected
    (image,) = read_coco_labels(path).values()
    assert image.ignore.tolist()[0] == bool(expected)
