"""Each layout, written in small: the true pairs and boxes, also of its parts."""

import typing

import numpy as np
import pytest

from common.errors import DataError
from pipeline.sources import dataset
from pipeline.sources._layouts import LAYOUTS
from tests.helpers import layouts

PERSON, BICYCLE, CAR, MOTORCYCLE, BUS, TRUCK, LIGHT = 0, 1, 2, 3, 5, 7, 9


def opened(root, layout=None, **settings):
    """A source whose layout is recognised, with every image and label read."""
    assert layout is None or dataset.recognise(root) == layout
    source = dataset.build(dataset.Config(root=root, **settings))
    source.check()
    return source


def boxes(source, key, size=layouts.SIZE, labels=None):
    found = source.labels(key, size) if labels is None else labels.get(key, size)
    return [
        (int(class_id), *map(float, np.round(box, 3)))
        for class_id, box in zip(found.class_id, found.xyxy, strict=True)
    ]


def test_the_names_of_layouts_are_those_that_are_described():
    assert set(typing.get_args(dataset.Name)) == set(LAYOUTS)


def test_llvip(here):
    source = opened(layouts.llvip(here), "llvip")
    assert source.keys == ["190001", "190002"]
    assert boxes(source, "190001") == [(PERSON, 3, 4, 20, 40)]
    assert opened(here, split="train").keys == ["010001"]


def test_m3fd_by_its_lists_and_whole(here):
    source = opened(layouts.m3fd(here), "m3fd")
    assert source.keys == ["00001"]
    assert boxes(source, "00001") == [(PERSON, 3, 4, 10, 30), (MOTORCYCLE, 20, 20, 50, 40)]
    assert source.label_report.others == {"Lamp": 1}
    assert opened(here, split="train").keys == ["00000", "00002"]
    (here / "whole").mkdir()
    assert len(opened(layouts.m3fd(here / "whole", listed=False), "m3fd").keys) == 3


def test_m3fd_as_tardal_has_it_with_ids_in_its_own_order(here):
    for name in ("a", "b"):
        layouts.pair(here / "ir" / f"{name}.png", here / "vi" / f"{name}.png")
        layouts.yolo(here / "labels" / f"{name}.txt", (1, 4, 4, 8, 8), (5, 8, 8, 16, 16))
    layouts.text(here / "meta" / "val.txt", "a.png")
    source = opened(here, "m3fd")
    assert source.keys == ["a"]
    assert boxes(source, "a") == [(CAR, 4, 4, 8, 8), (TRUCK, 8, 8, 16, 16)]


def test_flir_aligned(here):
    source = opened(layouts.flir_aligned(here), "flir_aligned")
    assert source.keys == ["FLIR_08864", "FLIR_08865"]
    assert source.labels_on == "ir"
    assert boxes(source, "FLIR_08864") == [(BICYCLE, 5, 6, 25, 26)]
    assert opened(here, split="train").keys == ["FLIR_00001"]


def test_flir_v2_pairs_the_frames_of_its_videos(here):
    source = opened(layouts.flir_v2(here), "flir_v2")
    assert source.keys == [f"video-abc-frame-{i:06d}-r{i}" for i in range(3)]
    key = source.keys[1]
    assert source._ir[key].name == "video-xyz-frame-000006-t1.jpg"
    light = (LIGHT, 40, 1, 45, 6)
    assert boxes(source, key) == [(PERSON, 2, 3, 12, 23), (CAR, 2, 30, 22, 40), light]
    own = opened(here, own_labels=True).own_labels["ir"]
    assert boxes(None, key, labels=own) == [(PERSON, 12, 3, 22, 23), (CAR, 12, 30, 32, 40), light]
    on_ir = opened(here, labels_on="ir")
    assert on_ir.labels_on == "ir"
    assert boxes(on_ir, key)[0] == (PERSON, 12, 3, 22, 23)


def test_flir_v2_with_its_map_beside_the_folder(here):
    root = layouts.flir_v2(here / "FLIR_ADAS_v2")
    (root / "rgb_to_thermal_vid_map.json").rename(here / "rgb_to_thermal_vid_map.json")
    assert len(opened(root, "flir_v2").keys) == 3
    (here / "rgb_to_thermal_vid_map.json").unlink()
    with pytest.raises(DataError, match=r"map.json has none of them or isn't there; unpack that"):
        opened(root)


def test_flir_v2_has_no_pairs_among_its_images(here):
    with pytest.raises(DataError, match=r"part 'val' aren't pairs: .* choose source.split=test"):
        opened(layouts.flir_v2(here), split="val")


def test_kaist_takes_every_20th_frame_and_the_reasonable_objects(here):
    source = opened(layouts.kaist(here), "kaist")
    assert source.keys == ["set06/V001/I00019", "set06/V001/I00039", "set09/V000/I00059"]
    found = source.labels(source.keys[0], layouts.KAIST_FRAME)
    assert found.xyxy.tolist() == [[100, 100, 130, 160], [400, 100, 425, 155]]
    assert found.ignore.tolist() == [
        [200, 100, 230, 160], [300, 100, 325, 154], [4, 100, 34, 160], [500, 100, 560, 160],
    ]  # fmt: skip
    assert source.label_protocol["subset"] == "reasonable"
    assert opened(here, split="train").keys == ["set00/V000/I00019", "set00/V000/I00039"]


def test_kaist_with_every_frame_and_object(here):
    source = opened(layouts.kaist(here), every=1, subset="all")
    assert len(source.keys) == 5
    found = source.labels("set06/V001/I00020", layouts.KAIST_FRAME)
    assert len(found) == 5
    assert found.ignore.tolist() == [[500, 100, 560, 160]]
    assert "subset" not in source.label_protocol


def test_kaist_with_boxes_of_each_camera(here):
    layouts.kaist(here)
    (here / "annotations").rename(here / "elsewhere")
    for camera, left in (("visible", 100), ("lwir", 110)):
        path = here / "annotations_paired" / "set06" / "V001" / camera / "I00019.txt"
        layouts.text(path, "% bbGt version=3", f"person {left} 100 30 60 0 0 0 0 0 0 0")
    source = opened(here, "kaist", own_labels=True)
    key = "set06/V001/I00019"
    assert boxes(source, key, layouts.KAIST_FRAME) == [(PERSON, 100, 100, 130, 160)]
    own = source.own_labels["ir"]
    assert boxes(None, key, layouts.KAIST_FRAME, own) == [(PERSON, 110, 100, 140, 160)]


def test_m3fd_by_a_list_of_ones_own(here):
    layouts.text(layouts.m3fd(here) / "meta" / "night_val.txt", "00002.png")
    assert opened(here, split="night_val").keys == ["00002"]
    with pytest.raises(DataError, match="no part 'day'; it has val, train"):
        opened(here, split="day")


def test_dronevehicle_without_its_border(here):
    source = opened(layouts.dronevehicle(here), "dronevehicle", own_labels=True)
    assert source.keys == ["00001", "00002"]
    pair = next(iter(source))
    assert (pair.ir.size, pair.vis.size) == ((512, 640), (512, 640))
    expected = [(CAR, 20, 10, 50, 40), (TRUCK, 200, 200, 250, 240), (CAR, 600, 100, 640, 120)]
    assert boxes(source, "00001", (512, 640)) == expected
    assert source.label_report.others == {"feright car": 2, "feright_car": 2, "*": 2}
    own = source.own_labels["vis"]
    assert boxes(None, "00001", (512, 640), own) == [(BUS, 10, 10, 30, 40)]


def test_dronevehicle_has_the_pixels_inside_the_border(here):
    layouts.dronevehicle(here)
    whole = np.random.default_rng(0).integers(0, 255, (712, 840), np.uint8)
    path = here / "val" / "valimgr" / "00001.png"
    layouts.Image.fromarray(whole).save(path)
    path.with_suffix(".jpg").unlink()
    assert (next(iter(opened(here))).ir.image == whole[100:-100, 100:-100]).all()


def test_a_detector_of_dronevehicle_finds_its_classes_in_any_spelling(here):
    layouts.dronevehicle(here)
    names = {0: "car", 1: "truck", 2: "freight_car", 3: "bus", 4: "van"}
    source = dataset.build(dataset.Config(root=here), names)
    ids = source.labels("00001", (512, 640)).class_id.tolist()
    assert ids == [0, 1, 2, 2, 0]


def test_dronevehicle_cropped_already(here):
    source = opened(layouts.dronevehicle(here, size=(512, 840)), "dronevehicle")
    assert next(iter(source)).vis.size == (512, 840)
    assert boxes(source, "00001", (512, 840))[0] == (CAR, 120, 110, 150, 140)


def test_vtuav_has_the_target_of_every_tenth_frame(here):
    source = opened(layouts.vtuav(here), "vtuav", own_labels=True)
    car, walker = "test_ST/test_ST_001/car_010/", "test_ST/test_ST_001/pedestrian_002/"
    assert source.keys == [
        *(f"{car}{frame:06d}" for frame in (7, 17, 27)),
        *(f"{walker}{frame:06d}" for frame in (0, 10, 20)),
    ]
    assert boxes(source, f"{car}000007") == [(CAR, 1, 2, 11, 22)]
    assert boxes(source, f"{walker}000010") == []
    assert boxes(source, f"{walker}000020") == [(PERSON, 3, 4, 13, 24)]
    assert boxes(None, f"{walker}000010", labels=source.own_labels["ir"]) == [
        (PERSON, 5, 6, 12, 14)
    ]
    assert len(opened(here, split="test_ST").keys) == 6
    with pytest.raises(DataError, match="no folder train; it has test_ST"):
        opened(here, split="train")


def test_mfnet_has_infrared_in_the_fourth_channel(here):
    source = opened(layouts.mfnet(here), "mfnet")
    assert source.keys == ["00001D"]
    pair = next(iter(source))
    assert pair.ir.image[5, 5] == 200
    assert pair.vis.image[5, 5].tolist() == [1, 2, 3]
    assert pair.ir.image[0, 0] == 40
    assert not source.has_labels
    assert opened(here, split="train").keys == ["00002N"]


@pytest.mark.parametrize(
    ("ir", "vis"),
    [("ir", "vi"), ("Infrared", "Visible"), ("IR", "VIS"), ("thermal", "rgb"), ("Inf", "Vis")],
)
def test_msrs_in_all_spellings(here, ir, vis):
    source = opened(layouts.split_folders(here, ir, vis, "Label"), "msrs")
    assert source.keys == ["00002N", "00003D"]
    assert boxes(source, "00002N") == [(CAR, 8, 8, 24, 24)]
    assert opened(here, split="train").keys == ["00001D"]


def test_mfnet_in_two_folders_with_lists(here):
    for name in ("00001D", "00002N"):
        layouts.pair(here / "Thermal" / f"{name}.png", here / "RGB" / f"{name}.png")
        layouts.image(here / "Label" / f"{name}.png", grey=True)
    layouts.text(here / "test.txt", "00002N")
    source = opened(here, "msrs")
    assert source.keys == ["00002N"]
    assert not source.has_labels
