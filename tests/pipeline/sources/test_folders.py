import json

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from pipeline.sources import image_folder, msrs
from tests.helpers import toys


def folders(root, **more):
    return image_folder.Config(ir=root / "ir", vis=root / "vi", **more)


def keys(source):
    with source:
        return [pair.key for pair in source]


def test_pairs_by_stem_not_by_order(here):
    toys.write_pairs(here, 3)
    (here / "ir" / "001.png").unlink()
    (here / "vi" / "002.png").unlink()
    with image_folder.build(folders(here)) as source:
        found = {pair.key: (pair.ir is not None, pair.vis is not None) for pair in source}
    assert found == {"000": (True, True), "001": (False, True), "002": (True, False)}


def test_natural_order_and_any_format(here):
    for folder in ("ir", "vi"):
        (here / folder).mkdir()
        for i, suffix in ((10, "png"), (9, "JPG"), (2, "bmp")):
            Image.new("L" if folder == "ir" else "RGB", (8, 8)).save(
                here / folder / f"frame{i}.{suffix}"
            )
        (here / folder / "notes.txt").write_text("no image")
        (here / folder / ".hidden.png").write_text("no image")
    assert keys(image_folder.build(folders(here))) == ["frame2", "frame9", "frame10"]


@pytest.mark.parametrize("fault", ["missing", "empty", "twice"])
def test_folders_that_cannot_be_used(here, fault):
    toys.write_pairs(here, 1)
    if fault == "missing":
        config = image_folder.Config(ir=here / "nowhere", vis=here / "vi")
        message = "nowhere: no such folder"
    elif fault == "empty":
        (here / "none").mkdir()
        config, message = image_folder.Config(ir=here / "none", vis=here / "vi"), "no images in it"
    else:
        Image.new("L", (8, 8)).save(here / "ir" / "000.bmp")
        config, message = folders(here), "000.bmp and 000.png share a stem"
    with pytest.raises(DataError, match=message):
        image_folder.build(config)


def test_sixteen_bit_infrared_needs_its_range(here):
    toys.write_pairs(here, 1)
    counts = np.full((toys.HEIGHT, toys.WIDTH), 8000, np.uint16)
    Image.fromarray(counts).save(here / "ir" / "000.png")
    with image_folder.build(folders(here, ir_range=(7000, 9000))) as source:
        assert next(iter(source)).ir.image[0, 0] == 128
    with pytest.raises(DataError, match="ir_range"):
        image_folder.build(folders(here)).check()


def test_labels_of_all_formats_give_the_same_boxes(here):
    toys.write_pairs(here, 2)
    size = (toys.HEIGHT, toys.WIDTH)
    yolo = image_folder.build(folders(here, labels=here / "labels")).labels("001", size)
    assert yolo.xyxy.round(3).tolist() == [[9, 11, 21, 31]]
    voc = here / "voc"
    voc.mkdir()
    (voc / "001.xml").write_text(
        "<annotation><object><name>person</name><bndbox><xmin>9</xmin><ymin>11</ymin>"
        "<xmax>21</xmax><ymax>31</ymax></bndbox></object></annotation>"
    )
    coco = {
        "images": [{"id": 7, "file_name": "001.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [9, 11, 12, 20]}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (here / "coco.json").write_text(json.dumps(coco))
    for labels in (voc, here / "coco.json"):
        found = image_folder.build(folders(here, labels=labels)).labels("001", size)
        assert found.xyxy.round(3).tolist() == [[9, 11, 21, 31]]
        assert found.class_id.tolist() == [0]


def test_labels_without_their_images_are_left_out_and_counted(here):
    toys.write_pairs(here, 2)
    (here / "labels" / "007.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    (here / "labels" / "README.dataset.txt").write_text("# thermal\n")
    (here / "labels" / "001.txt").rename(here / "labels" / "001.TXT")
    (here / "labels" / "000.txt").unlink()
    (here / "labels" / "._001.txt").write_bytes(b"\x00\x05\xb0")
    source = msrs.build(msrs.Config(root=here))
    source.check()
    assert source.label_classes("001").tolist() == [0]
    assert source.label_report.notes == [
        "1 of 2 images have no label file and count as background",
        "1 label file(s) of images that are not there left out (007)",
        "1 text file(s) that are no labels left out (README.dataset)",
    ]


def test_most_images_without_labels_are_a_warning(here):
    toys.write_pairs(here, 3)
    (here / "labels" / "000.txt").unlink()
    (here / "labels" / "002.txt").unlink()
    report = msrs.build(msrs.Config(root=here)).label_report
    assert report.warnings == ["2 of 3 images have no label file and count as background"]
    assert report.notes == []


def test_labels_of_which_none_fits_are_a_mistake(here):
    toys.write_pairs(here, 2, labels=False)
    (here / "labels").mkdir()
    (here / "labels" / "007.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(DataError, match=r"labels of '007' .* no such image: they are called '000'"):
        msrs.build(msrs.Config(root=here))


def test_msrs_reads_both_layouts(here):
    toys.write_pairs(here / "detection", 2)
    toys.write_pairs(here / "test", 2, labels=False)
    assert msrs.build(msrs.Config(root=here / "detection")).has_labels
    assert not msrs.build(msrs.Config(root=here / "test")).has_labels
    assert keys(msrs.build(msrs.Config(root=here / "test"))) == ["000", "001"]
    with pytest.raises(DataError, match=r"did you mean .*detection"):
        msrs.build(msrs.Config(root=here))
    with pytest.raises(DataError, match=r"source\.root: .*nowhere is no folder"):
        msrs.build(msrs.Config(root=here / "nowhere"))


def test_ignore_regions_come_with_the_labels(here):
    toys.write_pairs(here, 1)
    (here / "ignore.json").write_text(json.dumps({"000": [[1, 2, 30, 40]]}))
    source = msrs.build(msrs.Config(root=here))
    assert source.labels("000", (toys.HEIGHT, toys.WIDTH)).ignore.tolist() == [[1, 2, 30, 40]]


def test_shared_msrs(shared):
    with msrs.build(msrs.Config(root=shared / "data/msrs/detection")) as source:
        source.check()
        pairs = list(source)
    assert source.count == len(pairs) == 14
    assert sum(len(source.labels(pair.key, (480, 640))) for pair in pairs) == 29
    assert all(pair.ir.image.shape == (480, 640) for pair in pairs)
    assert all(pair.vis.image.shape == (480, 640, 3) for pair in pairs)
