"""Labels and predictions as tools write them: each gives its right score, or says what is wrong."""

import json

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from eval.class_lists import find_class_list, read_class_list
from eval.coco import evaluate_coco
from eval.labels import LabelSet
from pipeline.commands.evaluate import evaluate, read_inputs

W, H = 160, 128
BOXES = {"person": (20, 30, 20, 50), "car": (90, 60, 50, 30)}  # left, top, width, height
IDS = {"person": 0, "car": 2}
PERFECT = pytest.approx(1.0)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "images").mkdir()
    for k in range(3):
        Image.fromarray(np.zeros((H, W), np.uint8)).save(tmp_path / f"images/{k:03d}D.png")
    return tmp_path


def yolo(ids=IDS, end=""):
    rows = ((ids[name], box) for name, box in BOXES.items())
    return "".join(
        f"{i} {(x + w / 2) / W} {(y + h / 2) / H} {w / W} {h / H}{end}\n"
        for i, (x, y, w, h) in rows
    )


def voc(names, origin=0):
    objects = "".join(
        f"<object><name>{names[name]}</name><bndbox><xmin>{x + origin}</xmin>"
        f"<ymin>{y + origin}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for name, (x, y, w, h) in BOXES.items()
    )
    return f"<annotation>{objects}</annotation>"


def label_folder(here, text, suffix=".txt"):
    (here / "labels").mkdir(exist_ok=True)
    for k in range(3):
        (here / f"labels/{k:03d}D{suffix}").write_text(text)
    return here / "labels"


def predicted(here, ids=IDS, name="p.json"):
    entries = [
        {"image_id": f"{k:03d}D", "category_id": ids[name], "bbox": list(box), "score": 0.9}
        for k in range(3)
        for name, box in BOXES.items()
    ]
    (here / name).write_text(json.dumps(entries))
    return here / name


def ap(here, predictions, labels, **settings):
    """COCO's AP of the one arm, and what was read."""
    images = here / "images" if labels.is_dir() else None
    inputs = read_inputs(predictions, labels, images=images, **settings)
    truth, counted = inputs.truth.ground_truth, set(inputs.counted)
    truth = {
        **truth,
        "annotations": [a for a in truth["annotations"] if a["category_id"] in counted],
        "categories": [c for c in truth["categories"] if c["id"] in counted],
    }
    (arm,) = inputs.predictions.values()
    mine = [item for item in arm if item["category_id"] in counted]
    return evaluate_coco(truth, mine).map50_95, inputs


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
    labels, predictions = label_folder(here, voc(BOXES_AS), ".xml"), predicted(here, OTHER)
    with pytest.raises(DataError, match=r"ids are 61, 62.*--prediction-names"):
        ap(here, predictions, labels)


BOXES_AS = {"person": "person", "car": "car"}
OTHER = {"person": 61, "car": 62}


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


@pytest.mark.parametrize(
    "names", [{"person": "People", "car": "Car"}, {"person": "people", "car": "CAR"}]
)
def test_voc_names_are_taken_as_they_are(here, names):
    labels = label_folder(here, voc(names), ".xml")
    score, inputs = ap(here, predicted(here), labels, classes=["People", "Car"])
    assert score == PERFECT
    assert inputs.truth.protocol == {"box_origin": 0}


def test_class_map_of_evaluate(here):
    labels = label_folder(here, voc({"person": "walker", "car": "van"}), ".xml")
    settings = {"class_map": {"walker": "person", "van": None}}
    _, inputs = ap(here, predicted(here), labels, **settings)
    assert inputs.truth.left_out == {"van": 3}
    names = {c["id"]: c["name"] for c in inputs.truth.ground_truth["categories"]}
    assert [names[i] for i in inputs.counted] == ["person"]
    with pytest.raises(ConfigError, match="no Lamp and no Tram; theirs are"):
        ap(here, predicted(here), labels, classes=["walker", "Lamp", "Tram"])


def test_voc_edges_stand_as_they_are_unless_told(here):
    """What a set's xml says and what its authors' converter makes of it score the same."""
    labels = label_folder(here, voc(BOXES_AS), ".xml")
    assert ap(here, predicted(here), labels)[0] == PERFECT
    label_folder(here, voc(BOXES_AS, origin=1), ".xml")
    assert ap(here, predicted(here), labels)[0] < 0.95
    assert ap(here, predicted(here), labels, box_origin=1)[0] == PERFECT


def test_voc_in_an_encoding_that_expat_lacks(here):
    labels = label_folder(here, "", ".xml")
    text = '<?xml version="1.0" encoding="GBK"?>' + voc(BOXES_AS).replace(
        "<annotation>", "<annotation><folder>红外</folder>"
    )
    for path in labels.iterdir():
        path.write_bytes(text.encode("gbk"))
    assert ap(here, predicted(here), labels)[0] == PERFECT


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
    assert "1 file(s) of images that are not there" in inputs.notes[0]


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


def coco(here, *, image_id, ann_id=lambda n: n + 1, pred_id=None, cat=int):
    images, annotations, found = [], [], []
    for k in range(3):
        images.append({"id": image_id(k), "file_name": f"d/f-{k:03d}.jpg", "width": W, "height": H})
        for c, box in zip((1, 3), BOXES.values(), strict=True):
            entry = {"image_id": image_id(k), "category_id": cat(c), "bbox": list(box)}
            number = ann_id(len(annotations))
            annotations.append({**entry, **({} if number is None else {"id": number})})
            found.append({**entry, "image_id": (pred_id or image_id)(k), "score": 0.9})
    names = {1: "person", 2: "bike", 3: "car", 18: "dog"}
    categories = [{"id": i, "name": name} for i, name in names.items()]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (here / "gt.json").write_text(json.dumps(truth))
    (here / "p.json").write_text(json.dumps(found))
    return here / "p.json", here / "gt.json"


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
    "files",
    [
        {"labels/classes.txt": "car\nperson\n"},
        {"labels/obj.names": "car\nperson\n", "labels/train.txt": "data/a.png\n"},
        {"data.yaml": "nc: 2\nnames: [Car, People]\n"},
        {"dataset.yml": "names: {0: car, 1: person}\n"},
        {"notes.json": '{"categories": [{"id": 0, "name": "car"}, {"id": 1, "name": "person"}]}'},
        {"labels/_darknet.labels": "car\nperson\n\n", "data.yaml": "names:\n- car\n- person\n"},
    ],
)
def test_class_lists_beside_and_above_labels(here, files):
    labels = label_folder(here, yolo({"car": 0, "person": 1}))
    for name, text in files.items():
        (here / name).write_text(text)
    score, inputs = ap(here, predicted(here, {"car": 0, "person": 1}), labels)
    assert score == PERFECT
    assert "0 car, 1 person" in inputs.notes[0].lower().replace("people", "person")
    found = LabelSet.open(labels, names={0: "person", 2: "car"}, images=["000D"])
    assert found.get("000D", (H, W)).class_id.tolist() == [0, 2]


def test_class_lists_that_contradict_each_other(here):
    labels = label_folder(here, yolo())
    (labels / "classes.txt").write_text("person\nbike\ncar\n")
    (here / "data.yaml").write_text("names: [person, car]\n")
    with pytest.raises(DataError, match=r"class 1 is 'car' here, but 'bike' in .*classes\.txt"):
        find_class_list(labels)
    score, _ = ap(
        here, predicted(here), labels, class_names=read_class_list(labels / "classes.txt")
    )
    assert score == PERFECT


def test_unknown_ids_are_named_all_at_once(here):
    labels = label_folder(here, "7 .5 .5 .1 .1\n8 .5 .5 .1 .1\n0 .5 .5 .1 .1\n")
    with pytest.raises(DataError, match=r"unknown class '7', '8' \(6 labels\); known are 0 person"):
        LabelSet.open(labels, names={0: "person"})


def test_kaist(here):
    rows = [
        "% bbGt version=3",
        "person 20 30 20 50 0 0 0 0 0 0 0",
        "people 90 60 50 30 0 0 0 0 0 0 0",
        "person? 60 10 10 20 1 0 0 0 0 0 0",
        "cyclist 61 11 10 20 0 0 0 0 0 0 0",
        "person 5 5 10 20 0 0 0 0 0 1 0",
    ]
    labels = LabelSet.open(label_folder(here, "\n".join(rows)), names={0: "person", 2: "car"})
    truth = labels.get("000D", (H, W))
    assert truth.xyxy.tolist() == [[20, 30, 40, 80]]
    assert truth.class_id.tolist() == [0]
    assert truth.ignore[:, 0].tolist() == [90, 60, 61, 5]
    label_folder(here, "% bbGt version=3\nperson 20 30 20\n")
    with pytest.raises(DataError, match=r"000D\.txt:2: 'person 20 30 20' is no object"):
        LabelSet.open(here / "labels", names={0: "person"})


def test_polygons_float_classes_and_rounding(here):
    text = "0.0 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75\n2 0.8 0.5 1e-1 2E-1\n0 1.005 0.5 0.1 0.1\n"
    truth = LabelSet.open(label_folder(here, text), names={0: "person", 2: "car"}).get(
        "000D", (H, W)
    )
    expected = [[40, 32, 80, 96], [120, 51.2, 136, 76.8], [152.8, 57.6, 160, 70.4]]
    np.testing.assert_allclose(truth.xyxy, expected)
    assert truth.class_id.tolist() == [0, 2, 0]


def test_equal_lines_count_once(here):
    labels = LabelSet.open(label_folder(here, yolo() + yolo()), names={0: "person", 2: "car"})
    assert len(labels.get("000D", (H, W))) == 2
    assert "6 label line(s) repeat another one and count once" in labels.report.notes


def test_bare_ids_for_a_detector_of_other_classes_are_warned_of(here):
    labels = LabelSet.open(label_folder(here, yolo()), names={0: "People", 1: "Car", 2: "Bus"})
    assert "taken as the detector's, 0 People, 2 Bus" in labels.report.warnings[0]


def test_names_are_compared_after_nfc(here):
    (here / "labels").mkdir()
    (here / "labels/cafe\u0301.txt").write_text(yolo())
    labels = LabelSet.open(here / "labels", names={0: "person", 2: "car"}, images=["caf\u00e9"])
    assert len(labels.get("caf\u00e9", (H, W))) == 2
