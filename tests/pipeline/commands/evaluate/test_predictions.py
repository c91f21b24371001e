"""Predictions as tools write them: each gives its right score, or says what is wrong."""

import json

import pytest

from common.errors import DataError
from eval.class_reading import Reading, choose, doubts
from eval.coco_scores import evaluate_coco
from pipeline.commands.evaluate import evaluate, read_inputs
from tests.pipeline.commands.evaluate.dialects import (
    NAMES,
    PERFECT,
    H,
    W,
    ap,
    coco,
    label_folder,
    predicted,
    voc,
    yolo,
)


@pytest.mark.parametrize("kind", ["one", "labels", "arms"])
def test_predictions_as_txt(here, kind):
    labels = label_folder(here, yolo())
    folders = {"one": ["pred"], "labels": ["exp/labels"], "arms": ["all/ir/labels", "all/fused"]}
    for folder in folders[kind]:
        (here / folder).mkdir(parents=True)
        for k in range(3):
            (here / folder / f"{k:03d}D.TXT").write_text(yolo(end=" 0.913"))
        (here / folder / "other.txt").write_text("0 0.5 0.5 0.1 0.1 0.5\n")
    root = here / folders[kind][0].split("/")[0]
    inputs = read_inputs(root, labels, images=here / "images")
    assert (
        sorted(inputs.predictions)
        == {"one": ["pred"], "labels": ["exp"], "arms": ["fused", "ir"]}[kind]
    )
    for mine in inputs.predictions.values():
        assert evaluate_coco(inputs.truth.ground_truth, mine).map50_95 == PERFECT
    assert "predictions of 1 image(s) that are not there left out (other)" in inputs.warnings[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.1 0.1", "5 fields, expected 6.*--save-conf"),
        ("0 0.5 0.5 0.1 0.1 1.5", "confidence 1.5 must be in"),
        ("0 0.1 0.1 0.2 0.1 0.3 0.3", "no confidence among them"),
    ],
)
def test_wrong_prediction_txt(here, line, message):
    (here / "pred").mkdir()
    (here / "pred/000D.txt").write_text(line)
    with pytest.raises(DataError, match=message):
        read_inputs(here / "pred", label_folder(here, yolo()), images=here / "images")


@pytest.mark.parametrize(
    "dialect",
    [
        {"image_id": lambda k: k + 1},
        {"image_id": lambda k: k, "ann_id": lambda n: n},
        {"image_id": lambda k: k, "ann_id": lambda n: 5},
        {"image_id": lambda k: k, "ann_id": lambda n: None},
        {"image_id": lambda k: f"{k:06d}"},
        {"image_id": float, "ann_id": float, "cat": float},
        {"image_id": lambda k: k + 1, "pred_id": lambda k: f"f-{k:03d}"},
        {"image_id": lambda k: k + 1, "pred_id": lambda k: f"d/f-{k:03d}.jpg"},
        {"image_id": lambda k: f"x{k}", "pred_id": lambda k: f"f-{k:03d}"},
    ],
)
def test_coco_ids(here, dialect):
    score, inputs = ap(here, *coco(here, **dialect))
    assert score == PERFECT
    assert inputs.warnings == []


def test_predictions_of_a_coco_network_against_other_category_ids(here):
    """Car is 2 for the network and 3 in the file, where 2 is a bike."""
    predictions, truth = coco(here, image_id=int, cat=int)
    entries = json.loads(predictions.read_text())
    for entry in entries:
        entry["category_id"] -= 1
    predictions.write_text(json.dumps(entries))
    score, inputs = ap(here, predictions, truth)
    assert score == PERFECT
    assert "COCO's 0 to 79" in inputs.warnings[0]


@pytest.mark.parametrize(
    ("ids", "warned"),
    [
        ({"person": 0, "car": 2}, False),
        ({"person": 1, "car": 3}, True),  # ultralytics since 8.3.49, and COCO's own numbers
        ({"person": "person", "car": "Car"}, False),
    ],
)
def test_ids_from_one_are_found_out_and_said(here, ids, warned):
    score, inputs = ap(here, predicted(here, ids), label_folder(here, yolo()))
    assert score == PERFECT
    assert bool(inputs.warnings) == warned
    if warned:
        assert "plus 1" in inputs.warnings[0]
        assert "--prediction-names" in inputs.warnings[0]


def test_coco_91_numbers(here):
    """The dog of 91 numbers is 18; only the two lists' gaps tell it from ids plus 1."""
    labels = label_folder(here, yolo({"person": 16, "car": 18}))
    predictions = predicted(here, {"person": 18, "car": 20})  # dog and sheep
    score, inputs = ap(here, predictions, labels, classes=["dog", "sheep"])
    assert score == PERFECT
    assert "1 to 90" in inputs.warnings[0]


def test_names_of_predictions_that_are_given_win(here):
    labels, predictions = label_folder(here, yolo()), predicted(here, {"person": 5, "car": 0})
    names = {0: "Car", 5: "People"}
    assert ap(here, predictions, labels, prediction_names=names)[0] == PERFECT


def test_predictions_of_no_class_of_the_labels_are_refused(here):
    labels, predictions = (
        label_folder(here, voc(NAMES), ".xml"),
        predicted(here, {"person": 61, "car": 62}),
    )
    with pytest.raises(DataError, match=r"ids are 61, 62.*--prediction-names"):
        ap(here, predictions, labels)


def test_most_predictions_of_uncounted_classes_are_warned_of(here):
    labels = label_folder(here, yolo() + "9 0.1 0.1 0.1 0.1\n")
    predictions = predicted(here)
    entries = json.loads(predictions.read_text())
    light = {**entries[0], "category_id": 9, "bbox": [100, 2, 9, 9]}
    predictions.write_text(json.dumps(entries + [light] * 9))
    results = evaluate(predictions, labels, images=here / "images")
    assert results["objects"] == {
        "counted": {"person": 3, "car": 3}, "not_counted": {"traffic light": 3},
    }  # fmt: skip
    assert "9 of 15 predictions are of classes that don't count (ids 9)" in results["warnings"][-1]


def test_predictions_of_other_images_are_left_out_with_a_line(here):
    labels, predictions = label_folder(here, yolo()), predicted(here)
    entries = json.loads(predictions.read_text())
    strays = [{**entries[0], "image_id": name} for name in ("x", "x", 77)]
    predictions.write_text(json.dumps(entries + strays))
    score, inputs = ap(here, predictions, labels)
    assert score == PERFECT
    assert "predictions of 2 image(s) that are not there left out (x, 77)" in inputs.warnings[0]
    predictions.write_text(json.dumps(strays))
    with pytest.raises(DataError, match=r"none of its 2 image\(s\) \(x, 77\) is there; .* 000D"):
        ap(here, predictions, labels)


def test_json_without_image_sizes_takes_them_from_the_images(here):
    predictions, truth = coco(here, image_id=int)
    whole = json.loads(truth.read_text())
    for image in whole["images"]:
        del image["width"], image["height"]
    truth.write_text(json.dumps(whole).replace("f-00", "00").replace(".jpg", "D.jpg"))
    inputs = read_inputs(predictions, truth, images=here / "images")
    sizes = {(i["height"], i["width"]) for i in inputs.truth.ground_truth["images"]}
    assert sizes == {(H, W)}
    with pytest.raises(DataError, match=r"no size; .* --images FOLDER"):
        read_inputs(predictions, truth)
    (here / "images/000D.png").unlink()
    with pytest.raises(DataError, match=r"has no image 'd/000D\.jpg', whose size"):
        read_inputs(predictions, truth, images=here / "images")


def test_arms_that_number_classes_otherwise_are_warned_of(here):
    """Half of the labels speak for either list: the first is kept, and the other arm named."""
    (here / "arms").mkdir()
    predicted(here, name="arms/ir.json")
    predicted(here, {"person": 1, "car": 3}, name="arms/vis.json")
    inputs = read_inputs(here / "arms", label_folder(here, yolo()), images=here / "images")
    assert "vis: only 0 of the 6 labels with a prediction on them agree" in inputs.warnings[0]
    assert not any(text.startswith("ir:") for text in inputs.warnings)


OWN = Reading("own", {0: 0, 1: 1, 2: 2})
FROM_1 = Reading("from 1", {1: 0, 2: 1, 3: 2})


@pytest.mark.parametrize(
    ("pairs", "taken"),
    [
        ([(1, 0), (2, 1), (3, 2)], FROM_1),
        ([(1, 0), (2, 1)], OWN),  # too few
        ([(1, 0)] * 8 + [(0, 0)] + [(1, 1)], OWN),  # some agree as they are
        ([(1, 0)] * 8 + [(2, 0)] * 2, FROM_1),
        ([(1, 0)] * 7 + [(2, 0)] * 3, OWN),  # neither fits well
        ([], OWN),
    ],
)
def test_another_list_is_taken_on_clear_evidence_only(pairs, taken):
    reading, warnings = choose([OWN, FROM_1], pairs, {given for given, _ in pairs} - {0})
    assert reading is taken
    assert bool(warnings) == (taken is FROM_1)
    if len(pairs) > 0 and taken is OWN:
        assert "agree with it in class" in doubts(reading, pairs, {})[0]


def test_a_list_that_counts_from_1_has_no_0():
    assert choose([OWN, FROM_1], [(1, 0)] * 9, {0, 1}) == (OWN, [])


def test_a_class_that_no_prediction_has_is_said():
    person, car = [(0, 0)] * 9, [(2, 1)] * 3
    names = {0: "person", 1: "car"}
    (text,) = doubts(OWN, person + car, names)
    assert "none of the 3 labels of car with a prediction on them" in text
    assert doubts(OWN, person + car[:2], names) == []  # too few
    assert doubts(OWN, person + car, {0: "person"}) == []  # doesn't count
    assert doubts(OWN, [*person, *car, (1, 1)], names) == []


def truth(images):
    box = [10.0, 10.0, 20.0, 20.0]
    return {
        "images": [{"id": k, "file_name": f"{k}.png", "width": W, "height": H} for k in images],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "bbox": box, "area": 400.0, "iscrowd": 0}
            for k in images
        ],
        "categories": [{"id": 1, "name": "person"}],
    }


@pytest.mark.parametrize(
    ("images", "box", "said"),
    [
        (5, [10, 10, 20, 20], None),
        (3, [10, 10, 20, 20], None),
        (2, [10, 10, 20, 20], "3 of 5 labelled images have no prediction"),
        (5, [10, 10, 30, 30], "only 0 of 5 labels have a prediction on them"),  # edges
        (5, [0.1, 0.1, 0.2, 0.2], "only 0 of 5 labels"),  # fractions
    ],
)
def test_predictions_of_other_images_or_in_another_form_are_said(here, images, box, said):
    (here / "truth.json").write_text(json.dumps(truth(range(1, 6))))
    predictions = [
        {"image_id": k, "category_id": 1, "bbox": box, "score": 0.9} for k in range(1, images + 1)
    ]
    (here / "late.json").write_text(json.dumps(predictions))
    warnings = read_inputs(here / "late.json", here / "truth.json").warnings
    assert [text for text in warnings if "labelled images" in text or "labels have" in text] == (
        [] if said is None else warnings
    )
    assert said is None or (said in warnings[0] and warnings[0].startswith("late: "))
