"""The JSON forms and pycocotools' numbers, against the snippet that a reader would run."""

import contextlib
import io
import json
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from eval.coco import detections_of, ground_truth_json, labels_of
from eval.coco_scores import evaluate_coco
from eval.labels import Labels
from tests.eval.predictions import detections_json

NUMBERS = (
    *("map50_95", "map50", "map75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)


def snippet(folder, truth, predictions):
    """pycocotools as its manual runs it, on files: its 12 numbers and (AP, AP50) by class."""
    (folder / "ground_truth.json").write_text(json.dumps(truth))
    (folder / "fused.json").write_text(json.dumps(predictions))
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(folder / "ground_truth.json"))
        if predictions:
            found = gt.loadRes(str(folder / "fused.json"))
        else:  # which loadRes can't read
            found = COCO()
            found.dataset = {**truth, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(gt, found, "bbox")
        evaluation.params.catIds = [entry["id"] for entry in truth["categories"]]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    curves = evaluation.eval["precision"][:, :, :, 0, 2]  # all areas, 100 detections an image
    per_class = {
        class_id: (curves[:, :, k].mean(), curves[0, :, k].mean())
        for k, class_id in enumerate(evaluation.params.catIds)
        if curves[0, 0, k] > -1
    }
    return evaluation.stats.tolist(), per_class


def check(folder, truth, predictions):
    """Both give the same numbers; what is None here is -1 there."""
    result = evaluate_coco(truth, predictions)
    numbers, per_class = snippet(folder, truth, predictions)
    mine = [getattr(result, name) for name in NUMBERS]
    mine = [-1 if value is None else value for value in mine]
    assert mine == pytest.approx(numbers, abs=1e-9, rel=0)
    assert list(result.per_class) == list(per_class)
    for class_id, theirs in per_class.items():
        one = result.per_class[class_id]
        assert (one.map50_95, one.map50) == pytest.approx(theirs, abs=1e-9, rel=0)
    return result


def test_ground_truth_form(labels):
    truth = labels((2, 1.5, 2, 11.5, 22), (7, 0, 0, 5, 5), ignore=[(0, 0, 4, 4)])
    images = [
        {"id": 1, "key": "day/1", "file_name": "day/1.png", "width": 640, "height": 480},
        {"id": 2, "key": "2", "light": "day", "file_name": "2.png", "width": 64, "height": 48},
    ]
    data = ground_truth_json(images, [truth, Labels.empty()], {2: "car", 0: "person"})
    assert data["images"] == images
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


def test_perfect_detection(detections, labels, ground_truth, capsys, caplog, recwarn):
    caplog.set_level(logging.INFO)
    data = ground_truth(labels((0, 0, 0, 50, 50)))
    result = evaluate_coco(data, detections_json(1, detections((0, 0.9, 0, 0, 50, 50))))
    assert (result.map50_95, result.map50, result.mar_1) == pytest.approx((1, 1, 1))
    assert result.map_medium == pytest.approx(1)
    assert result.map_small is result.map_large is None
    assert list(result.per_class) == [0]  # cars count, but there are none
    assert result.per_class[0].map50 == pytest.approx(1)
    assert capsys.readouterr().out == ""
    assert caplog.records == recwarn.list == []


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


def random_data(seed, *, images, classes, labels, crowds, detections, levels, scale):
    """A data set and detections near its labels, on whole pixels so that overlaps tie too.

    Up to so many labels and detections an image; a share of the labels is crowds, a tenth of the
    boxes has no width, ``levels`` is how many scores there are, boxes are ``scale`` pixels wide.
    """
    random = np.random.default_rng(seed)

    def boxes(n):
        low, side = random.integers(0, 2 * scale, (n, 2)), random.integers(1, scale, (n, 2))
        side[:, 0] *= random.random(n) > 0.1
        return np.concatenate([low, side], axis=1)

    truth = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": 999, "height": 999}
            for i in random.permutation(3 * images)[:images].tolist()
        ],
        "annotations": [],
        "categories": [{"id": 3 * k + 1, "name": str(k)} for k in range(classes)],
    }
    predictions = []
    for image in truth["images"]:
        n, m = random.integers(0, labels + 1), random.integers(0, detections + 1)
        mine, kinds = boxes(n), 3 * random.integers(0, classes, n) + 1
        for (x, y, w, h), category_id in zip(mine.tolist(), kinds.tolist(), strict=True):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image["id"],
                    "category_id": category_id,
                    "bbox": [x, y, w, h],
                    "area": w * h * float(random.choice([0.5, 1])),  # as that of a mask
                    "iscrowd": int(random.random() < crowds),
                }
            )
        parent = random.integers(0, n + 2, m)  # a label, or one of two boxes where there is none
        near = np.concatenate([mine, boxes(2)])[parent]
        near += random.integers(0, scale // 8 + 1, (m, 4)) * random.integers(0, 2, (m, 1))
        kinds = np.append(kinds, 3 * random.integers(0, classes, 2) + 1)[parent]
        for box, category_id in zip(near.tolist(), kinds.tolist(), strict=True):
            predictions.append(
                {
                    "image_id": image["id"],
                    "category_id": category_id,
                    "bbox": box,
                    "score": int(random.integers(1, levels + 1)) / levels,
                }
            )
    return truth, predictions


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 4),
    classes=st.integers(1, 4),
    labels=st.sampled_from([0, 2, 8]),
    crowds=st.sampled_from([0, 0.3]),
    detections=st.sampled_from([0, 3, 12, 250]),
    levels=st.sampled_from([2, 20, 10**6]),
    scale=st.sampled_from([20, 60, 200]),
)
def test_agrees_with_pycocotools(tmp_path_factory, **shape):
    check(tmp_path_factory.mktemp("run"), *random_data(**shape))


def test_agrees_with_pycocotools_on_many_images(tmp_path):
    truth, predictions = random_data(
        7, images=600, classes=8, labels=8, crowds=0.1, detections=20, levels=50, scale=120
    )
    result = check(tmp_path, truth, predictions)
    assert len(predictions) > 5000
    assert 0.1 < result.map50 < 0.9


def test_agrees_with_pycocotools_on_what_a_run_writes(tmp_path, detections, labels, ground_truth):
    """Boxes with fractions, a region, an image of nothing."""
    data = ground_truth(
        labels((0, 1.5, 2.25, 60.75, 80), (2, 30, 30, 90, 90), ignore=[(300, 0, 400, 100)]),
        Labels.empty(),
        labels((2, 5, 5, 15, 15)),
    )
    found = [
        detections((0, 0.9, 2, 2, 60, 81), (0, 0.8, 310, 5, 350, 60), (2, 0.3, 29, 30, 95, 99)),
        detections((2, 0.6, 0, 0, 9, 9)),
        detections((2, 0.5, 6, 6, 15, 15), (0, 0.5, 6, 6, 15, 15)),
    ]
    predictions = [entry for i, one in enumerate(found, 1) for entry in detections_json(i, one)]
    result = check(tmp_path, data, predictions)
    assert result.per_class[0].map50 == pytest.approx(1)
