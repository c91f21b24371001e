"""The label readers: YOLO's and VOC's format, class maps, ignore regions, and each mistake."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError, DataError
from eval.labels import LabelSet
from tests.eval.label_files import NAMES, SIZE, folder, voc, voc_object

SHARED = Path(os.environ.get("IRVIS_SHARED", Path(__file__).parents[2] / ".." / "shared"))


def test_yolo(tmp_path):
    path = folder(
        tmp_path,
        a__txt="\ufeff2 0.5 0.5 0.1 0.2\r\n\n0 1 0.5 0.5 1\n",
        b__txt="",
        classes__txt="person\nbicycle\ncar\n",
    )
    labels = LabelSet.open(path, names=NAMES)
    assert labels.keys() == ["a", "b"]
    truth = labels.get("a", SIZE)
    # The second one's right edge is clipped to the image.
    np.testing.assert_allclose(truth.xyxy, [[90, 40, 110, 60], [150, 0, 200, 100]])
    assert truth.class_id.tolist() == [2, 0]
    assert truth.xyxy.dtype == np.float64
    assert truth.class_id.dtype == np.int64
    for background in ("b", "unlabelled"):
        assert len(labels.get(background, SIZE)) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.1", "4 fields, expected 5; write 'class cx cy w h'"),
        ("0 0.5 0.5 0.1 0.1 0.9", "6 fields"),
        ("0.5 0.5 0.5 0.1 0.1", "is not a whole number and numbers"),
        ("1_0 0.5 0.5 0.1 0.1", "is not a whole number"),
        ("0 0.5 ٠.5 0.1 0.1", "is not a whole number"),
        ("0 0.5 0.5 0.1 0.1 0.2 0.2 0.3", "8 fields, expected 5"),
        ("0 0.1 0.1 0.2 0.2 0.3 1.3", "y = 1.3 is outside"),
        ("0 0.1 0.1 0.2 0.1 0.3 0.1", "a polygon without area"),
        ("0 0.5 half 0.1 0.1", "is not a whole number and numbers"),
        ("car 0.5 0.5 0.1 0.1", "is not a whole number"),
        ("0 0.5 nan 0.1 0.1", r"cy = nan is outside \[0, 1\]"),
        ("0 0.5 0.5 inf 0.1", "w = inf is outside"),
        ("0 1.2 0.5 0.1 0.1", r"cx = 1.2 is outside \[0, 1\]"),
        ("0 0.5 0.5 1.0100001 0.1", "w = 1.0100001 is outside"),
        ("0 320 240 40 80", "cx = 320.0 is outside"),
        ("0 0.5 0.5 0.1 -0.1", "h = -0.1 is negative"),
        ("0 0.5 0.5 0 0.1", "w = 0.0 is zero"),
        (
            "7 0.5 0.5 0.1 0.1",
            r"unknown class '7' \(1 labels\); known are 0 person, 1 bicycle, 2 car; .*class_map",
        ),
    ],
)
def test_wrong_yolo_line(tmp_path, line, message):
    path = folder(tmp_path, a__txt=f"0 0.5 0.5 0.1 0.1\n\n{line}\n")
    # an unknown class is said with the file alone: it may be in many lines
    where = "a.txt" if "unknown" in message else r"a\.txt:3"
    with pytest.raises(DataError, match=rf"{where}: .*{message}") as caught:
        LabelSet.open(path, names=NAMES)
    assert "\n" not in str(caught.value)


def test_yolo_that_is_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="cannot be read as text"):
        LabelSet.open(tmp_path, names=NAMES)


def test_long_lists_of_classes_are_cut_short(tmp_path):
    names = {i: f"class{i}" for i in range(80)}
    with pytest.raises(DataError, match=r"5 class5, ... 80 in all"):
        LabelSet.open(folder(tmp_path, a__txt="99 0.5 0.5 0.1 0.1"), names=names)


@pytest.mark.parametrize("key", [0, "0"])
def test_class_map_of_ids(tmp_path, key):
    path = folder(tmp_path, a__txt="0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n")
    labels = LabelSet.open(path, names=NAMES, class_map={key: 2, 1: None})
    assert labels.get("a", SIZE).class_id.tolist() == [2]
    # With a map, an id is never taken as it is: 1 could be anything there.
    with pytest.raises(DataError, match=r"a.txt: unknown class '1'"):
        LabelSet.open(path, names=NAMES, class_map={key: 2})


def test_class_map_to_an_unknown_class(tmp_path):
    with pytest.raises(ConfigError, match="'truck' is mapped to 7, which is no known class"):
        LabelSet.open(tmp_path, names=NAMES, class_map={"truck": 7})


def test_voc(tmp_path):
    size = "<size><width>200</width><height>100</height><depth>3</depth></size>"
    text = voc(voc_object("Car"), voc_object("person", (0, 1, 20.5, 20), 1), size=size)
    labels = LabelSet.open(folder(tmp_path, a__xml=text), names=NAMES)
    truth = labels.get("a", SIZE)
    assert truth.xyxy.tolist() == [[11, 21, 50, 60]]
    assert truth.class_id.tolist() == [2]
    assert truth.ignore.tolist() == [[0, 1, 20.5, 20]]
    labels_from_1 = LabelSet.open(tmp_path, names=NAMES, box_origin=1)
    assert labels_from_1.get("a", SIZE).xyxy.tolist() == [[10, 20, 50, 60]]
    assert (labels.protocol, labels_from_1.protocol) == ({"box_origin": 0}, {"box_origin": 1})
    with pytest.raises(DataError, match=r"labelled at 200x100 pixels, .* 'a' has 64x48"):
        labels.get("a", (48, 64))


def test_voc_class_map(tmp_path):
    path = folder(tmp_path, a__xml=voc(*map(voc_object, ("Pedestrian", "tree", "car"))))
    labels = LabelSet.open(path, names=NAMES, class_map={"pedestrian": 0, "tree": None})
    assert labels.get("a", SIZE).class_id.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (voc(voc_object("")), "a.xml:3: the object has no name"),
        (voc("", voc_object(box=(5, 5, 3, 9))), "a.xml:4: bndbox .* has no size"),
        (voc(voc_object(box=(5, 5, "x", 9))), "a.xml:3: bndbox needs four numbers"),
        (voc(voc_object(box=(5, 5, "nan", 9))), "a.xml:3: bndbox needs four numbers"),
        (voc(voc_object(box=(5, 5, "1_0", 9))), "a.xml:3: bndbox needs four numbers"),
        (voc(voc_object(box=(5, 5, "٩", 9))), "a.xml:3: bndbox needs four numbers"),
        (voc("<object><name>car</name></object>"), "a.xml:3: bndbox needs four numbers"),
        ("<annotation>\n<object>", "a.xml: not readable as XML .*line 2"),
        ("", "a.xml: not readable as XML"),
        (
            '<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;">]>\n<annotation>&y;</annotation>',
            "a.xml:1: holds a DOCTYPE",
        ),
    ],
)
def test_wrong_voc(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        LabelSet.open(folder(tmp_path, a__xml=text), names=NAMES)


def test_key_that_fits_two_images(tmp_path):
    folder(tmp_path / "day", a__txt="0 0.5 0.5 0.1 0.1")
    labels = LabelSet.open(folder(tmp_path, **{"night/a__txt": ""}), names=NAMES)
    assert labels.keys() == ["day/a", "night/a"]
    assert len(labels.get("day/a", SIZE)) == 1
    with pytest.raises(DataError, match=r"'a' fits several images \(day/a, night/a\)"):
        labels.get("a", SIZE)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no label files"),
        ({"classes__txt": "person"}, "holds no label files"),
        ({"a__txt": "", "b__xml": ""}, r"holds both .xml \(b.xml\) and .txt \(a.txt\)"),
    ],
)
def test_folder_without_one_format(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        LabelSet.open(folder(tmp_path, **files), names=NAMES)


def test_path_that_is_no_labels(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        LabelSet.open(tmp_path / "labels", names=NAMES)
    (tmp_path / "a.csv").touch()
    with pytest.raises(DataError, match="is no label file"):
        LabelSet.open(tmp_path / "a.csv", names=NAMES)
    (tmp_path / "a.json").write_text("{\n,}")
    with pytest.raises(DataError, match=r"a.json:2: not JSON"):
        LabelSet.open(tmp_path / "a.json", names=NAMES)


def test_ignore_file(tmp_path):
    path = folder(tmp_path / "labels", a__txt="0 0.5 0.5 0.1 0.1")
    regions = tmp_path / "ignore.json"
    # Clipped to the image; one that lies outside vanishes. An image may have regions only.
    regions.write_text('{"a": [[-0.1, 5, 20, 300], [500, 5, 600, 9]], "b": [[1, 2, 3, 4]]}')
    labels = LabelSet.open(path, names=NAMES, ignore=regions)
    assert labels.get("a", SIZE).ignore.tolist() == [[0, 5, 20, 100]]
    assert labels.get("b", SIZE).ignore.tolist() == [[1, 2, 3, 4]]
    assert labels.get("day/b", SIZE).ignore.tolist() == [[1, 2, 3, 4]]
    assert labels.get("c", SIZE).ignore.shape == (0, 4)
    assert labels.keys() == ["a"]


def test_regions_of_unknown_images_are_said(tmp_path):
    path = folder(tmp_path / "labels", a__txt="0 0.5 0.5 0.1 0.1")
    regions, images = tmp_path / "ignore.json", {"a": ["a"], "day/b": ["day/b"]}

    def said(*keys):
        regions.write_text(json.dumps({key: [[1, 2, 3, 4]] for key in keys}))
        return LabelSet.open(path, names=NAMES, images=images, ignore=regions).report.warnings

    assert said("a", "day/b") == []
    (text,) = said("a", "c", "day/d")
    assert text.startswith("2 of 3 images with regions to ignore are not there, the first is 'c'")
    with pytest.raises(DataError, match=r"2 of 2 images .* called 'a' .*: give the regions"):
        said("c", "d")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": [[1, 2, 3, 4], [3, 2, 1, 4]]}', r"'a'\[1\] is \[3, 2, 1, 4\], not a box"),
        ('{"a": [[1, 2, 3]]}', r"'a'\[0\]"),
        ('{"a": [[1, 2, NaN, 4]]}', r"'a'\[0\]"),
        ('{"a": 3}', "expected an object of lists"),
        ("[]", "expected an object of lists"),
    ],
)
def test_wrong_ignore_file(tmp_path, text, message):
    path = folder(tmp_path / "labels", a__txt="")
    (tmp_path / "ignore.json").write_text(text)
    with pytest.raises(DataError, match=message):
        LabelSet.open(path, names=NAMES, ignore=tmp_path / "ignore.json")


@pytest.mark.skipif(not SHARED.is_dir(), reason="IRVIS_SHARED: no folder of shared data")
def test_msrs_labels():
    labels = LabelSet.open(SHARED / "data/msrs/detection/labels", names=NAMES)
    keys = labels.keys()
    assert len(keys) == 14
    assert sum(len(labels.get(key, (480, 640))) for key in keys) == 29


@pytest.mark.skipif(not SHARED.is_dir(), reason="IRVIS_SHARED: no folder of shared data")
def test_dev_labels():
    root = SHARED / "data/dev"
    labels = LabelSet.open(root / "labels", names=NAMES, ignore=root / "ignore.json")
    keys = labels.keys()
    ids = np.concatenate([labels.get(key, (480, 640)).class_id for key in keys])
    assert (len(keys), (ids == 0).sum(), (ids == 2).sum()) == (61, 119, 122)


def test_several_names_of_one_class_are_said(tmp_path):
    path = folder(tmp_path, a__xml=voc(voc_object("person"), voc_object("people")))
    labels = LabelSet.open(path, names=NAMES)
    assert labels.class_ids("a").tolist() == [0, 0]
    (text,) = labels.report.warnings
    assert "the labels' classes people and person count as one" in text
    without = LabelSet.open(path, names=NAMES, class_map={"people": None})
    assert without.class_ids("a").tolist() == [0]
    assert without.report.warnings == []
