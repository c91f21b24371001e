"""One arm in both conventions, from JSON to results.json and results.csv."""

import copy
import json

import pytest

from eval.coco import ground_truth_json
from eval.coco_files import read_ground_truth, read_predictions
from eval.evaluation import content_hash, evaluate_arm, table_rows, to_json
from eval.labels import Labels
from tests.eval.predictions import detections_json


@pytest.fixture
def scene(detections, labels, ground_truth):
    truth = ground_truth(
        labels((0, 0, 0, 40, 40), (2, 50, 50, 99, 99), ignore=[(200, 200, 300, 300)]),
        Labels.empty(),
    )
    found = [
        *detections_json(
            1,
            detections(
                (0, 0.9, 0.1234, 0, 40, 41), (2, 0.8, 50, 50, 99, 80), (0, 0.7, 210, 210, 250, 250)
            ),
        ),
        *detections_json(2, detections((2, 0.6, 1, 1, 30, 30))),
    ]
    return truth, found


def test_results_json(scene):
    result = to_json(evaluate_arm(*scene))
    assert list(result) == [
        *("yolo", "coco", "light", "operating_points", "log_average_miss_rate"),
        *("errors", "confusion"),
    ]
    assert {"precision", "recall", "map50", "map50_95", "confidence"} < set(result["yolo"])
    assert (
        list(result["yolo"]["per_class"])
        == list(result["coco"]["per_class"])
        == [
            "person",
            "car",
        ]
    )
    assert result["yolo"]["per_class"]["person"]["labels"] == 1
    assert result["yolo"]["per_class"]["person"]["images"] == 1
    assert result["yolo"]["map50"] == pytest.approx(0.995)
    assert result["coco"]["map50"] == pytest.approx(1)
    json.dumps(result, allow_nan=False)


def test_what_is_ignored_changes_no_number(scene):
    truth, found = scene
    counted = [item for item in found if item["score"] != 0.7]
    assert len(counted) == len(found) - 1
    assert to_json(evaluate_arm(truth, found)) == to_json(evaluate_arm(truth, counted))


def test_the_files_give_the_same_numbers(scene, tmp_path):
    truth, found = scene
    (tmp_path / "ground_truth.json").write_text(json.dumps(truth))
    (tmp_path / "fused.json").write_text(json.dumps(found))
    read = read_ground_truth(tmp_path / "ground_truth.json")
    predictions = read_predictions(tmp_path / "fused.json", read)
    assert to_json(evaluate_arm(read, predictions)) == to_json(evaluate_arm(truth, found))
    assert content_hash(read) == content_hash(truth)


def test_table(scene):
    rows = table_rows("fused", evaluate_arm(*scene), {"map50": (0.25, 1.0), "recall": None})
    columns = [
        *("arm", "class", "images", "labels", "precision", "recall", "map50", "map50_95"),
        *("coco_map50", "coco_map50_95"),
    ]
    ends = ["map50_low", "map50_high", "recall_low", "recall_high"]
    assert [list(row) for row in rows] == [columns + ends, columns, columns]
    assert [rows[0][end] for end in ends] == [0.25, 1.0, None, None]
    assert [(r["arm"], r["class"], r["images"], r["labels"]) for r in rows] == [
        ("fused", "all", 2, 2),
        ("fused", "person", 1, 1),
        ("fused", "car", 1, 1),
    ]


def test_classes_that_do_not_count_are_left_out(scene):
    truth, found = scene
    only = evaluate_arm(truth, found, classes=[0])
    assert list(only.yolo.per_class) == list(only.coco.per_class) == [0]
    assert only.yolo.per_class[0].map50 == evaluate_arm(truth, found).yolo.per_class[0].map50


def test_nothing_labelled(detections, ground_truth):
    found = detections_json(1, detections((0, 0.9, 0, 0, 5, 5)))
    result = evaluate_arm(ground_truth(Labels.empty()), found)
    data = to_json(result)
    assert data["yolo"]["map50"] is data["coco"]["map50"] is None
    (row,) = table_rows("ir", result, {})
    assert (row["class"], row["labels"], row["map50"], row["coco_map50"]) == ("all", 0, None, None)


def test_hash_knows_the_content_not_the_order(labels):
    one, two = labels((0, 0, 0, 9, 9), (2, 5, 5, 9, 9)), labels((0, 1, 1, 3, 3))
    images = [
        {"id": i, "key": key, "file_name": f"{key}.png", "width": 64, "height": 48}
        for i, key in ((1, "a"), (2, "b"))
    ]
    names = {0: "person", 2: "car"}
    base = content_hash(ground_truth_json(images, [one, two], names))
    turned = labels((2, 5, 5, 9, 9), (0, 0, 0, 9, 9))
    assert content_hash(ground_truth_json(images[::-1], [two, turned], names)) == base
    # A file name with another suffix is the same image, even where no key is written.
    plain = copy.deepcopy(ground_truth_json(images, [one, two], names))
    for image in plain["images"]:
        del image["key"]
        image["file_name"] = image["file_name"].replace("png", "jpg")
    assert content_hash(plain) == base
    for change in (
        lambda data: data["images"][0].update(width=65),
        lambda data: data["images"][0].update(key="c"),
        lambda data: data["annotations"][0].update(category_id=2),
        lambda data: data["annotations"][0].update(iscrowd=1),
        lambda data: data["annotations"][0]["bbox"].__setitem__(0, 0.5),
        lambda data: data["annotations"].pop(),
    ):
        data = copy.deepcopy(ground_truth_json(images, [one, two], names))
        change(data)
        assert content_hash(data) != base
