"""Data sets of YOLOv11-RGBT in their variants, and data sets that are there in part."""

import pytest

from common.errors import DataError
from pipeline.sources import _layout, dataset
from tests.helpers import layouts
from tests.pipeline.sources.test_dataset import CAR, PERSON, boxes, opened

FORMS = ("{split}/{camera}/images", "images/{camera}/{split}", "{camera}/images/{split}")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("file", [True, False])
def test_folders_with_and_without_a_data_yaml(here, form, file):
    layouts.yolo_rgbt(here, form, file=file)
    if not file:
        layouts.text(here / "classes.txt", "car", "person")
    source = opened(here, "yolo", own_labels=True)
    assert source.keys == ["b", "c"]
    assert boxes(source, "b") == [(CAR, 4, 8, 24, 24), (PERSON, 32, 8, 40, 24)]
    own = source.own_labels["ir"]
    assert boxes(None, "b", labels=own) == [(CAR, 6, 8, 24, 24), (PERSON, 32, 8, 40, 24)]
    assert opened(here, split="train").keys == ["a"]


def test_the_data_yaml_itself(here):
    layouts.yolo_rgbt(here, FORMS[1])
    (here / "data.yaml").rename(here / "KAIST.yaml")
    assert opened(here / "KAIST.yaml", "yolo").keys == ["b", "c"]


def test_a_list_of_paths_that_was_written_elsewhere(here):
    layouts.yolo_rgbt(here / "set", FORMS[1])
    root = here / "set"
    layouts.text(root / "some.txt", *(
        rf"G:\data\RGBT\set\images\visible\{name}.png" for name in ("train/a", r"val\c")
    ))  # fmt: skip
    layouts.text(root / "data.yaml", "path: G:/data/RGBT/set", "val: G:/data/RGBT/set/some.txt",
                 "names: {0: car, 1: person}")  # fmt: skip
    source = opened(root, "yolo")
    assert source.keys == ["train/a", "val/c"]
    assert boxes(source, "val/c") == [(CAR, 4, 8, 24, 24), (PERSON, 32, 8, 40, 24)]


def test_only_folders_below_the_root_change_their_name(here):
    root = layouts.yolo_rgbt(here / "visible_sets", FORMS[0])
    assert opened(root).keys == ["b", "c"]


def test_a_list_of_images_that_are_not_there(here):
    layouts.yolo_rgbt(here, FORMS[1])
    layouts.text(here / "val.txt", *(f"images/visible/val/{n}.png" for n in "bcde"))
    layouts.text(here / "data.yaml", "val: val.txt", "names: [car, person]")
    with pytest.raises(DataError, match=r"val.txt: 2 of its 4 images are not there, the first "):
        opened(here)


def test_a_path_without_visible(here):
    layouts.image(here / "images" / "rgb" / "a.png", grey=False)
    layouts.text(here / "data.yaml", "val: images/rgb", "names: [car]")
    with pytest.raises(DataError, match=r"a.png: no 'visible' in its path"):
        opened(here / "data.yaml")


@pytest.mark.parametrize(
    ("split", "message"),
    [("test", "has no part 'test'; it has val, train"), ("x", "has no part 'x'; it has val")],
)
def test_a_part_that_is_not_there(here, split, message):
    layouts.yolo_rgbt(here, FORMS[1])
    with pytest.raises(DataError, match=message):
        opened(here, split=split)


def test_a_folder_of_one_camera_is_missing(here):
    for path in layouts.llvip(here).glob("visible/test/*"):
        path.unlink()
    (here / "visible" / "test").rmdir()
    with pytest.raises(DataError, match=r"LLVIP: .* has no folder visible/test, the visible imag"):
        opened(here, split="test", layout="llvip")


def test_a_data_set_of_which_half_was_unpacked(here):
    layouts.pair(here / "val" / "valimgr" / "1.jpg", here / "val" / "other" / "1.jpg")
    with pytest.raises(DataError, match="looks like DroneVehicle, but has no val/valimg; unpack"):
        opened(here)


def test_many_images_without_partner(here):
    layouts.llvip(here)
    (here / "infrared" / "test" / "190002.jpg").unlink()
    with pytest.raises(DataError, match="LLVIP: 1 of 2 pairs have no infrared image, the first "):
        opened(here)


def test_one_image_of_many_without_partner(here):
    for number in range(20):
        name = f"{number}.jpg"
        layouts.pair(here / "infrared/test" / name, here / "visible/test" / name)
    (here / "visible/test/7.jpg").unlink()
    with pytest.raises(DataError, match=r"LLVIP: .*7.jpg has no visible partner; .*on_bad_pair=sk"):
        opened(here, "llvip")


def test_a_list_of_a_split_that_names_missing_images(here):
    layouts.m3fd(here)
    layouts.text(here / "meta" / "val.txt", "00001.png", "00007.png")
    with pytest.raises(
        DataError, match=r"val.txt lists 2 images, of which 1 are not there, the fi"
    ):
        opened(here)


def test_frames_of_a_map_that_are_not_there(here):
    layouts.flir_v2(here)
    next((here / "video_thermal_test" / "data").iterdir()).unlink()
    with pytest.raises(DataError, match=r"map.json: 1 of its 3 infrared images are not there, the"):
        opened(here)


def test_a_list_of_boxes_that_is_longer_than_its_sequence(here):
    layouts.vtuav(here)
    for camera in ("ir", "rgb"):
        for path in sorted((here / "test_ST/test_ST_001/car_010" / camera).iterdir())[9:]:
            path.unlink()
    with pytest.raises(DataError, match=r"rgb.txt: has 3 lines, but .*rgb has 9 frames, 1 of them|"
                                        r"ir.txt: has 3 lines"):  # fmt: skip
        opened(here)


def test_an_image_of_another_size_among_bordered_ones(here):
    layouts.dronevehicle(here)
    layouts.image(here / "val" / "valimg" / "00002.jpg", grey=False, size=(512, 640))
    with pytest.raises(
        DataError, match=r"00002.jpg: has 640x512 pixels, others 840x712 with their"
    ):
        opened(here)


def test_no_data_set_at_all(here):
    with pytest.raises(DataError, match="has the folders of no known data set"):
        opened(here)
    with pytest.raises(DataError, match="nowhere is not there"):
        opened(here / "nowhere")


def test_labels_of_a_camera_that_has_none(here):
    layouts.llvip(here)
    with pytest.raises(DataError, match="has no labels of the infrared images, but of visible"):
        opened(here, labels_on="ir")


def test_what_is_called_like_a_layout_is_none(here):
    layouts.text(here / "data.yaml", "train: 3", "names: [car]")
    assert dataset.recognise(here) is None


def test_a_data_yaml_without_parts(here):
    layouts.text(here / "data.yaml", "names: [car]")
    with pytest.raises(DataError, match=r"data.yaml has no part val or test or train"):
        opened(here / "data.yaml")


@pytest.mark.parametrize("layout", ["llvip", "m3fd", "kaist"])
def test_a_folder_is_listed_once_to_recognise_it(here, monkeypatch, layout):
    getattr(layouts, layout)(here)
    listed = []
    children = _layout.children
    monkeypatch.setattr(_layout, "children", lambda path: listed.append(path) or children(path))
    assert dataset.recognise(here) == layout
    assert len(listed) == len(set(listed))


def test_only_the_labels_of_the_images_are_read(here):
    layouts.llvip(here)
    layouts.text(here / "Annotations" / "010001.xml", "no xml")
    assert opened(here, "llvip").label_report.notes == []
    with pytest.raises(DataError, match=r"010001.xml: not readable as XML"):
        opened(here, split="train")
