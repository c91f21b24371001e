"""Labels as tools write them: each gives its right score, or says what is wrong."""

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from eval.class_lists import find_class_list, read_class_list
from eval.labels import LabelSet
from eval.truth_classes import objects_by_name
from pipeline.commands._truth import read_truth
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


def test_names_of_one_class_in_a_coco_file_are_kept_apart_and_said(here):
    _, labels = coco(here, image_id=int)
    labels.write_text(labels.read_text().replace('"car"', '"people"'))

    def read(class_map):
        return read_truth(labels, None, class_names=None, class_map=class_map, box_origin=0)

    apart, one = read(None), read({"people": "person"})
    assert apart.warnings == [
        "the labels' classes people and person are kept apart; to count them as one, map all to "
        "one of them: --class-map people=person"
    ]
    assert not one.warnings
    counted = [objects_by_name(t.ground_truth, t.ids(["person"]))[0] for t in (apart, one)]
    assert counted == [{"person": 3}, {"person": 6}]


def test_voc_edges_stand_as_they_are_unless_told(here):
    """What a set's xml says and what its authors' converter makes of it score the same."""
    labels = label_folder(here, voc(NAMES), ".xml")
    assert ap(here, predicted(here), labels)[0] == PERFECT
    label_folder(here, voc(NAMES, origin=1), ".xml")
    assert ap(here, predicted(here), labels)[0] < 0.95
    assert ap(here, predicted(here), labels, box_origin=1)[0] == PERFECT


def test_voc_in_an_encoding_that_expat_lacks(here):
    labels = label_folder(here, "", ".xml")
    text = '<?xml version="1.0" encoding="GBK"?>' + voc(NAMES).replace(
        "<annotation>", "<annotation><folder>红外</folder>"
    )
    for path in labels.iterdir():
        path.write_bytes(text.encode("gbk"))
    assert ap(here, predicted(here), labels)[0] == PERFECT


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
    found = LabelSet.open(labels, names={0: "person", 2: "car"}, images={"000D": ["000D"]})
    assert found.get("000D", (H, W)).class_id.tolist() == [0, 2]


def test_the_class_list_beside_a_link_to_the_labels(here):
    (here / "a/b/c").mkdir(parents=True)
    (here / "set").mkdir()
    (here / "set/data.yaml").write_text("names: [car, person]\n")
    (here / "set/labels").symlink_to(here / "a/b/c")
    assert find_class_list(here / "set/labels") == (
        {0: "car", 1: "person"}, here / "set/data.yaml",
    )  # fmt: skip
    assert find_class_list(here / "a/b/c") is None


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
    labels = LabelSet.open(
        here / "labels", names={0: "person", 2: "car"}, images={"1": ["caf\u00e9"]}
    )
    assert len(labels.get("caf\u00e9", (H, W))) == 2
