"""Bags that can't be read end in one line, whatever is wrong with them."""

import logging
import shutil

import numpy as np
import pytest

from common.errors import DataError
from pipeline import cli
from pipeline.frames import BadPair
from pipeline.sources import bag
from tests.helpers import bags


def read(path, **more):
    """The pairs of a bag."""
    with bag.build(bag.Config(bag=path, **{"ir": bags.IR, "vis": bags.VIS, **more})) as source:
        return list(source)


def refused(path, match, **more):
    with pytest.raises(DataError, match=match) as raised:
        read(path, **more)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small bag of each kind, by its name."""
    here = tmp_path_factory.mktemp("bags")
    bags.write_ros1(here / "a.bag", bags.drive(4, 1))
    bags.write_mcap(here / "a.mcap", bags.drive(4), chunk_size=20_000)
    shutil.copy(bags.write_ros2(here / "db", bags.drive(4), "sqlite3") / "db.db3", here / "a.db3")
    return here


def test_no_such_bag_and_no_bag(here):
    refused(here / "a.bag", "a.bag: no such bag")
    (here / "a.txt").write_text("text")
    refused(here / "a.txt", r"no bag; name a \.bag, \.mcap or \.db3 file")
    (here / "folder").mkdir()
    refused(here / "folder", r"has no metadata\.yaml.*`ros2 bag reindex`")
    for name in ("b.bag", "b.mcap", "b.db3"):
        (here / name).write_bytes(b"")
        refused(here / name, "is empty")
        (here / name).write_bytes(b"\x00\xff" * 100)
        refused(here / name, r"is not a .*it begins with")


def test_a_bag_without_index(here, made):
    data = bytearray((made / "a.bag").read_bytes())
    at = data.index(b"index_pos=") + 10
    data[at : at + 8] = bytes(8)  # as the recorder writes it before it ends
    (here / "a.bag").write_bytes(data)
    refused(here / "a.bag", r"not indexed.*no index, `rosbag reindex` mends it")
    data = (made / "a.mcap").read_bytes()
    (here / "a.mcap").write_bytes(data[: data.index(b"\x0f\x04\x00\x00\x00")])  # DataEnd
    refused(here / "a.mcap", r"cut off or it has no index, `mcap recover` mends it")


@pytest.mark.parametrize("name", ["a.bag", "a.mcap", "a.db3"])
def test_a_truncated_or_damaged_bag_never_ends_in_another_error(here, made, name):
    data = (made / name).read_bytes()
    rng = np.random.default_rng(0)
    for share in (0.001, 0.1, 0.5, 0.9, 0.999):
        (here / name).write_bytes(data[: int(share * len(data))])
        try:
            found = read(here / name)
            assert any(isinstance(pair, BadPair) for pair in found)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017 -- it may be raised, and is one line then
    for _ in range(12):
        broken = bytearray(data)
        # the last bytes are the index, where damage matters most
        places = np.append(rng.integers(20, len(data), 8), len(data) - rng.integers(1, 600, 8))
        for place in places:
            broken[place] = rng.integers(256)
        (here / name).write_bytes(broken)
        try:
            read(here / name)
        except DataError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_a_damaged_chunk_ends_the_stream_with_a_bad_pair(here, made, caplog):
    data = bytearray((made / "a.mcap").read_bytes())
    chunk = bytearray(data)
    at = [i for i in range(len(data) - 4) if data[i : i + 4] == b"\x28\xb5\x2f\xfd"][-1]  # zstd
    chunk[at + 10 : at + 40] = bytes(30)
    (here / "a.mcap").write_bytes(chunk)
    found = read(here / "a.mcap")
    ends = [pair.key for pair in found if isinstance(pair, BadPair)]
    assert set(ends) & {"ir_end", "vis_end"}
    assert "cannot be read" in caplog.text


def test_two_topics_must_be_chosen_of_three(here):
    third = bags.raw(bags.START, bags.vis_image(0), "bgr8")
    messages = [*bags.drive(1), ("/third", bags.START, third)]
    path = bags.write_mcap(here / "a.mcap", messages)
    text = refused(path, "which topics are the cameras", ir=None, vis=None)
    assert text.endswith(f"{bags.VIS} (1 Image), {bags.IR} (1 Image), /third (1 Image)")
    refused(path, "which topics are the cameras", vis=None)
    refused(path, r"source\.ir: no images in topic /fourth; its topics", ir="/fourth")
    refused(path, "the same topic", ir=bags.VIS)
    assert len(read(path)) == 1


def test_a_bag_without_images(here):
    path = bags.write_mcap(here / "a.mcap", [])
    refused(path, "it has no topic with images", ir=None, vis=None)
    info = bags.header(bags.START)
    path = bags.write_mcap(here / "b.mcap", [("/info", bags.START, info)])
    refused(path, "source.ir: no images in topic .* it has no topic with images")
    refused(bags.write_mcap(here / "c.mcap", bags.drive(1), profile="ros1"), "profile 'ros1'")


def test_the_cameras_exchanged_and_an_unknown_encoding(here):
    path = bags.write_mcap(here / "a.mcap", bags.drive(2))
    refused(path, r"/thermal/image_raw: has over 8 bit \(mono16\)", ir=bags.VIS, vis=bags.IR)
    messages = bags.drive(2)
    for _, _, message in messages[::2]:
        message.encoding = "yuv422_yuy2"
    path = bags.write_mcap(here / "b.mcap", messages)
    refused(path, r"/rgb/image_raw: encoding 'yuv422_yuy2', where mono8")


def test_times_that_were_never_set_and_that_go_back(here):
    messages = bags.drive(20)
    for _, _, message in messages[::2]:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    path = bags.write_mcap(here / "a.mcap", messages)
    refused(path, r"header\.stamp is 0\.000 s .*never set; give source\.times=log")
    assert len(read(path, times="log")) == 20
    messages = bags.drive(20)
    for _, _, message in messages[30::2]:
        message.header.stamp.sec -= 5
    path = bags.write_mcap(here / "b.mcap", messages)
    refused(path, r"/rgb/image_raw, message 15: its time goes back by .* give source\.times=log")


def test_messages_that_overtook_each_other_are_sorted(here):
    messages = bags.drive(12)
    order = [0, 2, 1, 3, 7, 6, 5, 4, 8, 9, 10, 11]
    late = [
        (messages[2 * n][0], messages[2 * i][1], messages[2 * n][2]) for i, n in enumerate(order)
    ]
    mixed = sorted([*late, *messages[1::2]], key=lambda m: m[1])
    found = read(bags.write_mcap(here / "a.mcap", mixed))
    assert [pair.vis.timestamp_ns for pair in found] == [
        bags.START + i * bags.STEP for i in range(12)
    ]
    assert [pair.key for pair in found] == [f"{order.index(i):06d}" for i in range(12)]


def test_clocks_with_nothing_in_common(here):
    messages = bags.drive(4)
    for _, _, message in messages[1::2]:
        message.header.stamp.sec -= 1_699_999_990  # since the camera was started
    path = bags.write_mcap(here / "a.mcap", messages)
    refused(path, r"infrared covers 10\.0\.\.10\.1 s, visible 1700000000\.0.*source\.offset_ms")
    assert len(read(path, offset_ms=1_699_999_990_000)) == 4


def test_the_command_line_ends_with_2_and_one_line(here, caplog, capsys):
    (here / "a.mcap").write_bytes(b"text that is no bag")
    with caplog.at_level(logging.ERROR):
        code = cli.main(["run", "video", "source.kind=bag", "source.bag=a.mcap", "detector=null"])
    captured = capsys.readouterr()
    assert code == 2
    text = captured.err + captured.out
    assert "a.mcap: is not a .mcap file" in text
    assert "Traceback" not in text
