"""The JSON forms and pycocotools' numbers, against the snippet that a reader would run."""

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection.boxes import Detections
from eval.coco import detections_json, detections_of, evaluate_coco, ground_truth_json, labels_of
from eval.labels import Labels

NUMBERS = (
    *("map50_95", "map50", "map75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)


def snippet(folder, truth, predictions, classes=(0, 2)):
    """pycocotools as its manual runs it, on files."""
    (folder / "ground_truth.json").write_text(json.dumps(truth))
    (folder / "fused.json").write_text(json.dumps(predictions))
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(folder / "ground_truth.json"))
        evaluation = COCOeval(gt, gt.loadRes(str(folder / "fused.json")), "bbox")
        evaluation.params.catIds = list(classes)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [None if value == -1 else value for value in evaluation.stats]


def test_ground_truth_form(labels):
    truth = labels((2, 1.5, 2, 11.5, 22), (7, 0, 0, 5, 5), ignore=[(0, 0, 4, 4)])
    data = ground_truth_json(
        [("day/1", "day/1.png", 480, 640), ("2", "2.png", 48, 64)],
        [truth, Labels.empty()],
        {2: "car", 0: "person"},
    )
    assert data["images"] == [
        {"id": 1, "key": "day/1", "file_name": "day/1.png", "width": 640, "height": 480},
        {"id": 2, "key": "2", "file_name": "2.png", "width": 64, "height": 48},
    ]
    assert data["categories"] == [{"id": 0, "name": "person"}, {"id": 2, "name": "car"}]
    box = {"image_id": 1, "bbox": [0.0, 0.0, 4.0, 4.0], "area": 16.0, "iscrowd": 1}
    assert data["annotations"] == [
        {
            **{"id": 1, "image_id": 1, "category_id": 2, "bbox": [1.5, 2.0, 10.0, 20.0]},
            **{"area": 200.0, "iscrowd": 0},
        },
        {"id": 2, "category_id": 0, **box},
        {"id": 3, "category_id": 2, **box},
    ]


def test_detections_form(detections):
    found = detections((2, 0.9, 1.00049, 2, 11.5, 22), (0, 1e-3, 0, 0, 0, 0))
    assert detections_json(7, found) == [
        {"image_id": 7, "category_id": 2, "bbox": [1.0, 2.0, 10.5, 20.0], "score": 0.9},
        {"image_id": 7, "category_id": 0, "bbox": [0.0, 0.0, 0.0, 0.0], "score": 0.001},
    ]


@given(st.floats(0, 1, width=32))
def test_scores_come_back_bit_for_bit(score):
    found = Detections(
        np.zeros((1, 4), np.float32), np.array([score], np.float32), np.zeros(1, np.int64)
    )
    (entry,) = json.loads(json.dumps(detections_json(1, found)))
    assert np.float32(entry["score"]) == found.score[0]


def test_round_trip(detections, labels, ground_truth):
    truth = labels((2, 1.5, 2, 11.5, 22), (0, 5, 5, 9, 9), ignore=[(0, 0, 4, 4), (9, 9, 12, 12)])
    found = detections((2, 0.9, 1.25, 2, 11.5, 22), (0, 0.8, 1, 2, 3, 4))
    data = ground_truth(Labels.empty(), truth)
    none, same = labels_of(data)
    assert len(none) == len(none.ignore) == 0
    np.testing.assert_array_equal(same.xyxy, truth.xyxy)
    np.testing.assert_array_equal(same.class_id, truth.class_id)
    np.testing.assert_array_equal(same.ignore, truth.ignore)
    empty, again = detections_of(data, detections_json(2, found))
    assert len(empty) == 0
    np.testing.assert_array_equal(again.xyxy, found.xyxy)
    np.testing.assert_array_equal(again.score, found.score)
    np.testing.assert_array_equal(again.class_id, found.class_id)


def test_perfect_detection(detections, labels, ground_truth, capsys):
    data = ground_truth(labels((0, 0, 0, 50, 50)))
    result = evaluate_coco(data, detections_json(1, detections((0, 0.9, 0, 0, 50, 50))))
    assert (result.map50_95, result.map50, result.mar_1) == pytest.approx((1, 1, 1))
    assert result.map_medium == pytest.approx(1)
    assert result.map_small is result.map_large is None
    assert list(result.per_class) == [0]  # cars count, but there are none
    assert result.per_class[0].map50 == pytest.approx(1)
    assert capsys.readouterr().out == ""


def test_no_detections_is_zero(labels, ground_truth):
    result = evaluate_coco(ground_truth(labels((0, 0, 0, 50, 50))), [])
    assert (result.map50_95, result.map50, result.mar_100) == (0, 0, 0)
    assert result.per_class[0].map50_95 == 0


@pytest.mark.parametrize("regions", [[], [(0, 0, 9, 9)]])
def test_no_labels_is_not_defined(detections, labels, ground_truth, regions):
    found = detections_json(1, detections((0, 0.9, 0, 0, 50, 50)))
    result = evaluate_coco(ground_truth(labels(ignore=regions)), found)
    assert all(getattr(result, name) is None for name in NUMBERS)
    assert result.per_class == {}
    assert evaluate_coco(ground_truth(), []).map50 is None


def test_inputs_stay_as_they_are(detections, labels, ground_truth):
    data = ground_truth(labels((0, 0, 0, 50, 50), ignore=[(60, 60, 90, 90)]))
    found = detections_json(1, detections((0, 0.9, 0, 0, 50, 50)))
    before = json.dumps([data, found])
    evaluate_coco(data, found)
    assert json.dumps([data, found]) == before


def test_detection_in_an_ignore_region_does_not_count(detections, labels, ground_truth):
    data = ground_truth(labels((0, 0, 0, 50, 50), ignore=[(100, 0, 200, 100)]))
    hit = (0, 0.5, 0, 0, 50, 50)
    inside = (0, 0.9, 110, 0, 160, 50)
    alone = evaluate_coco(data, detections_json(1, detections(hit)))
    both = evaluate_coco(data, detections_json(1, detections(inside, hit)))
    assert (both.map50_95, both.map50, both.mar_10) == (alone.map50_95, alone.map50, alone.mar_10)
    assert both.mar_1 == 0  # it still takes one of COCO's places an image
    assert alone.map50_95 == pytest.approx(1)


@st.composite
def scenes(draw):
    """Three images of up to five labels, some regions, and detections near them."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    regions = draw(st.booleans())
    truths, found = [], []
    for _ in range(3):
        n = random.integers(0, 6)
        low = random.uniform(0, 300, (n, 2))
        xyxy = np.concatenate([low, low + random.uniform(5, 150, (n, 2))], axis=1)
        far = random.uniform(400, 450, (int(regions), 2))
        ignore = np.concatenate([far, far + 50], axis=1)
        truths.append(Labels(xyxy, random.choice([0, 2], n), ignore))
        m = random.integers(1, 12)
        parents = np.concatenate([xyxy, [[0, 0, 40, 40], [400, 400, 460, 460]]])
        boxes = parents[random.integers(0, len(parents), m)] + random.normal(0, 5, (m, 4))
        found.append(
            Detections(
                boxes.astype(np.float32),
                random.choice(np.arange(1, 20) / 20, m).astype(np.float32),
                random.choice([0, 2], m),
            )
        )
    return truths, found


@settings(max_examples=40, deadline=None)
@given(scene=scenes())
def test_agrees_with_the_snippet(scene, tmp_path_factory, ground_truth):
    truths, found = scene
    data = ground_truth(*truths)
    if not any(len(truth) for truth in truths):
        return
    predictions = [entry for i, one in enumerate(found, 1) for entry in detections_json(i, one)]
    result = evaluate_coco(data, predictions)
    if predictions:
        theirs = snippet(tmp_path_factory.mktemp("run"), data, predictions)
        assert [getattr(result, name) for name in NUMBERS] == theirs
        for class_id, mine in result.per_class.items():
            one = snippet(tmp_path_factory.mktemp("run"), data, predictions, [class_id])
            assert (mine.map50_95, mine.map50) == pytest.approx((one[0], one[1]), abs=1e-12)
