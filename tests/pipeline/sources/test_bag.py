"""Bags written by rosbags and by the package mcap: their pairs, pixels and times."""

import io
import logging
import sys

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError, DataError
from pipeline.frames import BadPair
from pipeline.sources import bag
from pipeline.sources._gain import AutoGain
from tests.helpers import bags

WRITERS = {
    "ros1.bag": lambda path, messages: bags.write_ros1(path, messages),
    "ros2_mcap": lambda path, messages: bags.write_ros2(path, messages),
    "ros2_sqlite": lambda path, messages: bags.write_ros2(path, messages, "sqlite3"),
    "chunks.mcap": lambda path, messages: bags.write_mcap(path, messages, chunk_size=20_000),
    "plain.mcap": lambda path, messages: bags.write_mcap(path, messages, use_chunking=False),
}


def build(path, **more):
    return bag.build(bag.Config(bag=path, ir=bags.IR, vis=bags.VIS, **more))


def pairs_of(path, **more):
    with build(path, **more) as source:
        return list(source)


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_bag_gives_its_pairs_and_pixels(here, name):
    path = WRITERS[name](here / name, bags.drive(6, 1 if name == "ros1.bag" else 2))
    automatic = AutoGain()
    with build(path) as source:
        assert source.count == 6
        assert source.frame_rate == 25
        found = list(source)
        assert source.timing() == {
            "offset_ms": 0, "drift_ppm": 0, "times": "header.stamp",
            "skew": {"pairs": 6, "mean_ms": -3, "std_ms": 0, "min_ms": -3, "max_ms": -3},
        }  # fmt: skip
    assert [pair.key for pair in found] == [f"{i:06d}" for i in range(6)]
    for i, pair in enumerate(found):
        assert pair.vis.timestamp_ns == bags.START + i * bags.STEP
        assert pair.ir.timestamp_ns == bags.START + i * bags.STEP + 3_000_000
        np.testing.assert_array_equal(pair.vis.image, bags.vis_image(i))
        np.testing.assert_array_equal(pair.ir.image, automatic(bags.ir_image(i)))


def test_a_single_file_of_a_ros_2_folder_can_be_named(here):
    for plugin, suffix in (("mcap", "mcap"), ("sqlite3", "db3")):
        folder = bags.write_ros2(here / plugin, bags.drive(3), plugin)
        found = pairs_of(folder / f"{plugin}.{suffix}", ir_range=(30_000, 30_255))
        assert [int(pair.ir.image[0, 0]) for pair in found] == [0, 7, 14]


def test_times_of_the_log(here):
    path = bags.write_mcap(here / "a.mcap", bags.drive(3))
    with build(path, times="log") as source:
        found = list(source)
        assert source.timing()["times"] == "log"
    first = bags.START + 5_000_000
    assert [pair.vis.timestamp_ns for pair in found] == [first + i * bags.STEP for i in range(3)]


def test_frames_without_partner_and_an_offset(here):
    messages = bags.drive(6)
    del messages[4:6], messages[7:8]  # both of pair 2, the infrared of pair 4
    path = bags.write_ros2(here / "bag", messages)
    found = [(pair.vis and pair.vis.index, pair.ir and pair.ir.index) for pair in pairs_of(path)]
    assert found == [(0, 0), (1, 1), (2, 2), (3, None), (4, 3)]
    later = [
        (pair.vis and pair.vis.index, pair.ir and pair.ir.index)
        for pair in pairs_of(path, offset_ms=40)
    ]
    # infrared at 43, 83, 163, 243 ms; visible at 0, 40, 120, 160, 200
    assert later == [(0, None), (1, 0), (None, 1), (2, None), (3, 2), (4, None), (None, 3)]


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "jpeg")
    return file.getvalue()


@pytest.mark.parametrize("version", [1, 2])
def test_compressed_images(here, version):
    image, deep = bags.vis_image(0), bags.ir_image(3)
    messages = []
    for i in range(2):
        time = bags.START + i * bags.STEP
        data, form = (png(image), "png") if i else (jpeg(image), "rgb8; jpeg compressed bgr8")
        vis = bags.compressed(time, data, form, version=version)
        ir = bags.compressed(time, png(deep), "mono16; png compressed ", version=version)
        messages += [(bags.VIS, time, vis), (bags.IR, time, ir)]
    if version == 1:
        path = bags.write_ros1(here / "a.bag", messages)
    else:
        path = bags.write_mcap(here / "a.mcap", messages)
    first, second = pairs_of(path, ir_range=(30_000, 30_510))
    np.testing.assert_array_equal(first.vis.image, np.asarray(Image.open(io.BytesIO(jpeg(image)))))
    np.testing.assert_array_equal(second.vis.image, image)
    levels = np.rint((deep.astype(np.float32) - 30_000) / 2).astype(np.uint8)
    np.testing.assert_array_equal(second.ir.image, levels)


@pytest.mark.parametrize(
    ("names", "infrared"),
    [
        (("/thermal/image", "/camera/image"), 0),
        (("/cam/rgb", "/cam/ir"), 1),
        (("/FLIR_boson/image", "/left"), 0),
    ],
)
def test_plain_names_tell_the_cameras(here, caplog, names, infrared):
    image = np.arange(48 * 64).reshape(48, 64).astype(np.uint8)
    messages = [(name, bags.START, bags.raw(bags.START, image, "mono8")) for name in names]
    path = bags.write_mcap(here / "a.mcap", messages)
    with bag.build(bag.Config(bag=path)) as source:
        assert source.count == 1
    taken = names[infrared], names[1 - infrared]
    said = f"{taken[0]} is taken as infrared and {taken[1]} as visible"
    assert [said in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    with bag.build(bag.Config(bag=path, ir=taken[0])):
        assert not caplog.records  # the other one is left


def test_sixteen_bit_beside_colour_tell_the_cameras(here, caplog):
    messages = [({bags.VIS: "/a", bags.IR: "/b"}[t], time, m) for t, time, m in bags.drive(1)]
    path = bags.write_mcap(here / "a.mcap", messages)
    with caplog.at_level(logging.WARNING), bag.build(bag.Config(bag=path)) as source:
        assert next(iter(source)).vis.image.ndim == 3
    assert "/b is taken as infrared and /a as visible" in caplog.text


@pytest.mark.parametrize("names", [("/left", "/right"), ("/rgb", "/depth"), ("/ir1", "/ir2/ir")])
def test_what_tells_nothing_must_be_named(here, names):
    image = np.zeros((48, 64), np.uint8)
    messages = [(name, bags.START, bags.raw(bags.START, image, "mono8")) for name in names]
    path = bags.write_mcap(here / "a.mcap", messages)
    one, other = sorted(names)
    with pytest.raises(
        DataError,
        match=rf"which topic is infrared\? give source.ir and source.vis; its topics with images "
        rf"are {one} \(1 Image\), {other} \(1 Image\)",
    ):
        bag.build(bag.Config(bag=path))


def test_without_rosbags_one_line_says_how_to_get_it(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    with pytest.raises(ConfigError, match=r"pip install rosbags`, which irvis\[bags\] brings too"):
        build(here / "a.bag")


def test_a_damaged_frame_is_a_bad_pair(here):
    messages = bags.drive(4)
    short = bags.raw(bags.START + bags.STEP, bags.vis_image(1), "rgb8")
    short.data = short.data[:100]
    messages[2] = (bags.VIS, messages[2][1], short)
    odd = bags.raw(bags.START + 2 * bags.STEP, bags.ir_image(1), "mono16")
    odd.encoding = "heat"
    messages[5] = (bags.IR, messages[5][1], odd)
    found = pairs_of(bags.write_ros2(here / "bag", messages))
    bad = {pair.key: (pair.modality, pair.reason) for pair in found if isinstance(pair, BadPair)}
    assert set(bad) == {"000001", "ir_000002"}
    assert bad["000001"][0] == "vis"
    assert "message 1: 100 bytes of data, where 64x48 rgb8 in rows of 192 bytes" in bad["000001"][1]
    assert bad["ir_000002"][0] == "ir"
    assert "encoding 'heat', where mono8" in bad["ir_000002"][1]
    whole = [pair.key for pair in found if not isinstance(pair, BadPair) and pair.ir and pair.vis]
    assert whole == ["000000", "000003"]
