"""Labels in COCO's format."""

import pytest

from common.errors import DataError
from eval.labels import LabelSet
from tests.eval.label_files import NAMES, SIZE, coco


def test_coco(tmp_path):
    labels = LabelSet.open(coco(tmp_path), names=NAMES)
    assert labels.keys() == ["day/a", "day/b"]
    for key in ("day/a", "a"):
        truth = labels.get(key, SIZE)
        assert truth.xyxy.tolist() == [[10, 20, 50, 60]]
        assert truth.class_id.tolist() == [2]  # by name; the file's own id is 3
        assert truth.ignore.tolist() == [[0, 0, 5, 5]]
    assert len(labels.get("b", (7, 9))) == 0
    with pytest.raises(DataError, match="labelled at 200x100"):
        labels.get("a", (100, 100))


@pytest.mark.parametrize("class_map", [{3: 0}, {"3": 0}, {"CAR": 0}])
def test_coco_class_map(tmp_path, class_map):
    labels = LabelSet.open(coco(tmp_path), names=NAMES, class_map=class_map)
    assert labels.get("a", SIZE).class_id.tolist() == [0]


def test_coco_without_category_names_goes_by_id(tmp_path):
    annotations = [{"id": 1, "image_id": 5, "category_id": 2, "bbox": [10, 20, 40, 40]}]
    path = coco(tmp_path, categories=[], annotations=annotations)
    assert LabelSet.open(path, names=NAMES).get("a", SIZE).class_id.tolist() == [2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": []}, r"unknown class '3' \(2 labels\)"),
        ({"images": [{"id": 1, "file_name": "a"}]}, r"annotations\[0\]: image_id 5 is not"),
        (
            {"annotations": [{"id": 1, "image_id": 5, "category_id": 3, "bbox": [1, 2, -3, 4]}]},
            r"annotations\[0\]: bbox \[1, 2, -3, 4\]",
        ),
        (
            {
                "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "a.jpg"}],
                "annotations": [],
            },
            "two images are called 'a'",
        ),
    ],
)
def test_wrong_coco(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        LabelSet.open(coco(tmp_path, **changes), names=NAMES)


def test_box_outside_the_image(tmp_path):
    annotations = [{"id": 1, "image_id": 6, "category_id": 3, "bbox": [300, 20, 40, 40]}]
    labels = LabelSet.open(coco(tmp_path, annotations=annotations), names=NAMES)
    with pytest.raises(DataError, match=r"box \[300.0, 20.0, 340.0, 60.0\] of 'b' lies outside"):
        labels.get("b", SIZE)
