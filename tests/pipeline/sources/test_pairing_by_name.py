"""Pairs by rules, patterns and lists, and what is no pair at all."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from common.errors import DataError
from pipeline.frames import BadPair
from pipeline.sources import image_folder
from pipeline.sources._pairing_by_name import Names, find


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def pairs(root, ir="", vis="", **names):
    """Name of the infrared and of the visible file by key."""
    found = find(root / ir, root / vis, Names(**names))
    return {key: (found.ir[key].name, found.vis[key].name) for key in found.ir if key in found.vis}


def test_endings_in_one_folder(here):
    touch(here, "F_08_RGB.jpg", "F_08_PreviewData.jpeg", "F_09_RGB.jpg", "F_09_PreviewData.jpeg")
    found = find(here, here, Names(ir="_PreviewData", vis="_RGB"))
    assert {key: path.name for key, path in found.ir.items()} == {
        "F_08": "F_08_PreviewData.jpeg", "F_09": "F_09_PreviewData.jpeg",
    }  # fmt: skip
    assert {key: path.name for key, path in found.vis.items()} == {
        "F_08": "F_08_RGB.jpg", "F_09": "F_09_RGB.jpg",
    }  # fmt: skip
    assert found.names("vis")["F_08"] == ("F_08_RGB", "F_08", "F_08_PreviewData")
    assert found.names("ir")["F_08"] == ("F_08_PreviewData", "F_08", "F_08_RGB")
    assert found.names("ir", shared=True)["F_08"] == ("F_08_PreviewData", "F_08")


def test_a_camera_whose_names_have_no_ending(here):
    touch(here, "1.png", "1_ir.png", "2.png", "2_ir.png")
    found = find(here, here, Names(ir="_ir"))
    assert [p.name for p in found.ir.values()] == ["1_ir.png", "2_ir.png"]
    assert [p.name for p in found.vis.values()] == ["1.png", "2.png"]


def test_patterns_reach_into_folders(here):
    for part in ("set06/V000", "set06/V001", "set07/V000"):
        touch(here, f"{part}/lwir/I00019.jpg", f"{part}/visible/I00019.jpg")
    found = find(here, here, Names(ir="*/lwir/*", vis="*/visible/*"))
    assert list(found.ir) == list(found.vis) == [
        "set06/V000/I00019", "set06/V001/I00019", "set07/V000/I00019",
    ]  # fmt: skip
    assert all(found.ir[k].parts[-4:-2] == found.vis[k].parts[-4:-2] for k in found.ir)
    chosen = find(here, here, Names(ir="*/lwir/*", vis="*/visible/*", only="set06/*"))
    assert list(chosen.ir) == ["set06/V000/I00019", "set06/V001/I00019"]


def test_folders_below_two_folders(here):
    touch(here, *(f"{c}/{s}/{n}.png" for c in ("ir", "vis") for s in ("a", "b") for n in (1, 2)))
    assert list(find(here / "ir", here / "vis", Names()).vis) == ["a/1", "a/2", "b/1", "b/2"]


def test_a_list_of_pairs(here):
    touch(here, "ir/t7.png", "ir/t8.png", "vis/c1.png", "vis/c2.png")
    (here / "pairs.csv").write_text("ir,vis\nt8.png,c1.png\nir/t7,vis/c2\n")
    found = pairs(here, "ir", "vis", pairs=here / "pairs.csv")
    assert found == {"c1": ("t8.png", "c1.png"), "c2": ("t7.png", "c2.png")}


def test_a_map_of_pairs_as_flir_has_it(here):
    touch(here, "ir/t7.png", "ir/t8.png", "vis/c1.png", "vis/c2.png")
    (here / "map.json").write_text('{"c1.png": "t8.png", "c2.png": "t7.png"}')
    found = pairs(here, "ir", "vis", pairs=here / "map.json")
    assert found == {"c1": ("t8.png", "c1.png"), "c2": ("t7.png", "c2.png")}
    (here / "map.json").write_text('["c1.png"]')
    with pytest.raises(DataError, match="expected an object, the infrared image by the visible"):
        pairs(here, "ir", "vis", pairs=here / "map.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t7 c1\nt7 c2\n", r"line 2: 't7' was listed before"),
        ("t9 c1\n", r"line 1: there is no image 't9'"),
        ("t7\n", r"line 1: 1 names; write 'infrared, visible'"),
        ("", r"lists no pair"),
    ],
)
def test_lists_of_pairs_that_are_wrong(here, text, message):
    touch(here, "ir/t7.png", "vis/c1.png", "vis/c2.png")
    (here / "pairs.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        pairs(here, "ir", "vis", pairs=here / "pairs.txt")


@pytest.mark.parametrize(
    "lines", ["F_2_RGB\nF_3_IR\n", "./data/x/F_2_RGB.png\nF_3\n", "F_2_IR.png\r\n\r\nF_3_RGB.PNG"]
)
def test_a_list_chooses_a_split(here, lines):
    touch(here, *(f"F_{n}_{c}.png" for n in (1, 2, 3) for c in ("RGB", "IR")))
    (here / "val.txt").write_text(lines)
    found = find(here, here, Names(ir="_IR", vis="_RGB", only=str(here / "val.txt")))
    assert list(found.ir) == ["F_2", "F_3"]


def test_a_list_never_takes_an_image_of_another_folder(here):
    touch(here, "ir/val/0.png", "vis/val/0.png")
    (here / "train.txt").write_text("train/0.png\n")
    with pytest.raises(DataError, match=r"line 1: there is no image 'train/0\.png'"):
        pairs(here, "ir", "vis", only=str(here / "train.txt"))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, r"are the same folder.*source\.names\.ir=_IR source\.names\.vis=_RGB"),
        ({"ir": "_IR", "vis": "_IR"}, "are the same folder"),
        ({"ir": "_thermal", "vis": "_RGB"}, r"source\.names\.ir=_thermal: fits no image"),
        ({"ir": "F_*_RGB", "vis": "*_1_RGB"}, "fits both"),
        ({"ir": "_IR", "vis": "_RGB", "only": "G*"}, r"only=G\*: chooses no pair"),
    ],
)
def test_rules_that_cannot_be(here, names, message):
    touch(here, "F_1_RGB.png", "F_1_IR.png")
    with pytest.raises(DataError, match=message):
        find(here, here, Names(**names))


def test_names_without_a_rule_are_explained(here):
    touch(here, "ir/F_1_IR.png", "vis/F_1_RGB.png")
    with pytest.raises(DataError, match=r"no infrared image has a visible partner.*source\.names"):
        find(here / "ir", here / "vis", Names())
    with pytest.raises(ValidationError, match=r"equally many \*"):
        Names(ir="*/lwir/*", vis="*_RGB")


def save(path, image):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(image).save(path)


def ramp(*shape):
    return np.arange(np.prod(shape), dtype=np.uint32).reshape(shape).astype(np.uint8)


def build(here, **more):
    return image_folder.build(image_folder.Config(ir=here / "ir", vis=here / "vis", **more))


def test_copies_are_no_pair(here):
    save(here / "ir/0.png", ramp(16, 24, 3))
    save(here / "vis/0.png", ramp(16, 24, 3))
    (pair,) = build(here)
    assert isinstance(pair, BadPair)
    assert "are the same file" in pair.reason


def test_equal_pictures_are_said(here, caplog):
    save(here / "ir/0.png", ramp(16, 24))
    save(here / "vis/0.png", np.repeat(ramp(16, 24)[:, :, None], 3, 2))
    (pair,) = build(here)
    assert pair.problem() is None
    assert "the very same picture in 1 of 1 pairs" in caplog.text


def coloured(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 24, 3), np.uint8)


def test_exchanged_cameras_and_false_colours_are_said(here, caplog):
    for key in range(2):
        save(here / f"ir/{key}.png", coloured(key))
        save(here / f"vis/{key}.png", ramp(16, 24) // 2)
    build(here).check()
    assert caplog.text.count("infrared in colour") == 1
    assert caplog.text.count("are the cameras exchanged?") == 1
    caplog.clear()
    save(here / "vis/1.png", coloured(9))
    list(build(here))
    assert "infrared in colour" in caplog.text
    assert "are the cameras exchanged?" not in caplog.text


@pytest.mark.parametrize("folder", ["labels", "labels/data"])
def test_labels_by_the_name_of_either_camera(here, folder):
    for key in (1, 2):
        save(here / f"ir/F_{key}_IR.png", ramp(16, 24))
        save(here / f"vis/F_{key}_RGB.png", coloured(key))
    touch(here, f"{folder}/F_1_IR.txt", f"{folder}/F_2_IR.txt")
    (here / f"{folder}/F_1_IR.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    for only, wanted in ((None, ["F_1", "F_2"]), ("F_1", ["F_1"])):
        names = {"ir": "_IR", "vis": "_RGB", "only": only}
        source = build(here, labels=here / "labels", names=names)
        source.check()
        assert source.keys == wanted
        assert source.labels("F_1", (16, 24)).xyxy.tolist() == [[6, 4, 18, 12]]


@pytest.fixture
def numbered_apart(here):
    """Infrared i is the partner of visible i + 1; each camera's labels say which number it has."""
    for i in (1, 2, 3):
        save(here / f"ir/{i}.png", ramp(16, 24))
        save(here / f"vis/{i}.png", coloured(i))
        for camera in ("ir", "vis"):
            touch(here, f"labels_{camera}/{i}.txt")
            text = f"0 0.5 0.5 0.5 {(i + 4 * (camera == 'vis')) / 16}\n"
            (here / f"labels_{camera}/{i}.txt").write_text(text)
    (here / "pairs.csv").write_text("1,2\n2,3\n")
    return here


def heights(find):
    """The heights of the labels of the pairs, whose keys are the visible numbers."""
    return [(box[3] - box[1]) for key in "23" for box in find(key, (16, 24)).xyxy.tolist()]


def test_labels_go_by_the_images_that_they_are_drawn_on(numbered_apart):
    here, names = numbered_apart, {"pairs": numbered_apart / "pairs.csv"}
    both = {f"labels_{camera}": here / f"labels_{camera}" for camera in ("ir", "vis")}
    source = build(here, labels=here / "labels_vis", names=names, **both)
    assert heights(source.labels) == heights(source.own_labels["vis"].get) == [6, 7]
    assert heights(source.own_labels["ir"].get) == [1, 2]
    source = build(here, labels=here / "labels_ir", labels_on="ir", names=names)
    assert heights(source.labels) == [1, 2]


def test_labels_of_another_image_are_not_taken_for_those_that_are_missing(numbered_apart):
    here, names = numbered_apart, {"pairs": numbered_apart / "pairs.csv"}
    (here / "labels_vis/2.txt").unlink()
    (here / "labels_ir/2.txt").unlink()
    more = {"labels_ir": here / "labels_ir", "names": names}
    source = build(here, labels=here / "labels_vis", **more)
    assert heights(source.labels) == [7]
    assert heights(source.own_labels["ir"].get) == [1]
    assert source.label_report.notes[0].startswith("1 of 2 images have no label file")
    assert [len(source.own_labels["ir"].class_ids(key)) for key in "23"] == [1, 0]


def test_labels_of_both_cameras_in_one_folder_are_not_mixed(here):
    for i in (1, 2):
        save(here / f"all/{i}.png", coloured(i))
        save(here / f"all/{i}_ir.png", ramp(16, 24))
        touch(here, f"labels/{i}.txt")
        (here / f"labels/{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (here / "labels/1_ir.txt").write_text("0 0.5 0.5 0.5 0.25\n")
    settings = image_folder.Config(
        ir=here / "all",
        vis=here / "all",
        names={"ir": "_ir"},
        labels=here / "labels",
        labels_ir=here / "labels",
    )
    source = image_folder.build(settings)
    infrared = source.own_labels["ir"]
    found = [infrared.get(key, (16, 24)).xyxy.tolist() for key in "12"]
    assert found == [[[6, 6, 18, 10]], []]
    (here / "labels/2.txt").unlink()
    (here / "labels/2_ir.txt").write_text("0 0.5 0.5 0.5 0.25\n")
    source = image_folder.build(settings)
    assert [len(source.labels(key, (16, 24))) for key in "12"] == [1, 0]


def test_labels_of_one_camera_in_their_own_folder_have_any_name_of_the_pair(here):
    for i in (1, 2, 3):
        save(here / f"ir/{i}_ir.png", ramp(16, 24))
        save(here / f"vis/{i}.png", coloured(i))
        touch(here, f"labels/{i}.txt")
        touch(here, f"labels_ir/{i}{'_ir' * (i == 3)}.txt")
        text = f"0 0.5 0.5 0.5 {i / 16}\n"
        (here / f"labels_ir/{i}{'_ir' * (i == 3)}.txt").write_text(text)
    more = {"labels": here / "labels", "labels_ir": here / "labels_ir"}
    infrared = build(here, names={"ir": "_ir"}, **more).own_labels["ir"]
    boxes = [infrared.get(key, (16, 24)).xyxy[0] for key in "123"]
    assert [box[3] - box[1] for box in boxes] == [1, 2, 3]


def test_a_range_in_another_unit_is_said(here, caplog):
    save(here / "ir/0.tif", np.linspace(20, 30, 384, dtype=np.float32).reshape(16, 24))
    save(here / "vis/0.png", coloured(0))
    (pair,) = build(here, ir_range=(290, 310))
    assert pair.ir.image.max() == 0
    assert "no pixel is within source.ir_range=[290,310]" in caplog.text
    (pair,) = build(here, ir_range=(20, 30))
    assert pair.ir.image[0, 0] == 0
    assert pair.ir.image[-1, -1] == 255
