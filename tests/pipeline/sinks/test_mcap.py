"""What the sink mcap writes, read by rosbags, by the package mcap and by the source bag."""

import sys

import cv2
import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader

from common.errors import ConfigError, DataError
from pipeline.sinks import mcap
from pipeline.sources import bag
from tests.helpers import stand

START, STEP = 1_700_000_000_000_000_000, 40_000_001


def build(context, **settings):
    return mcap.build(mcap.Config(**settings), context, "fusion")


def results(count):
    return [stand.result(i, START + STEP * i) for i in range(count)]


def of_rosbags(path):
    """Topic, log time and message of all messages, by the definitions in the file."""
    with AnyReader([path]) as reader:
        return [
            (connection.topic, time, reader.deserialize(data, connection.msgtype))
            for connection, time, data in reader.messages()
        ]


def of_mcap(path):
    """Topic, log time and data of all messages."""
    with path.open("rb") as file:
        return [
            (channel.topic, message.log_time, message.data)
            for _, channel, message in make_reader(file, validate_crcs=True).iter_messages()
        ]


@pytest.mark.parametrize("images", ["raw", "png", "jpeg"])
def test_images_and_detections_have_the_time_of_the_pair(tmp_path, images):
    pairs = results(5)
    folder = stand.run(lambda c: build(c, images=images), tmp_path / "run", pairs, every=2)
    assert [path.name for path in folder.iterdir()] == ["fusion.mcap"]
    found = of_rosbags(folder / "fusion.mcap")
    suffix = "image" if images == "raw" else "image/compressed"
    topics = {f"/irvis/{arm}/detections" for arm in ("fused", "ir", "late")}
    assert {topic for topic, _, _ in found} == topics | {
        f"/irvis/{arm}/{suffix}" for arm in ("fused", "ir")
    }
    assert len(found) == 5 * 5
    for topic, time, message in found:
        stamp = message.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == time
        number = (time - START) // STEP
        assert time == START + STEP * number
        if topic == f"/irvis/ir/{suffix}":
            image = pairs[number].image("ir")
            if images == "raw":
                assert (message.encoding, message.step) == ("rgb8", 3 * 64)
                np.testing.assert_array_equal(message.data.reshape(48, 64, 3), image)
            else:
                assert message.format == images
                pixels = cv2.imdecode(message.data, cv2.IMREAD_COLOR)[:, :, ::-1]
                error = np.abs(pixels.astype(int) - image).mean()
                assert error == 0 if images == "png" else error < 16
    assert len(of_mcap(folder / "fusion.mcap")) == 25


def test_boxes_are_centres_and_sizes_with_the_names_of_classes(tmp_path):
    boxes = stand.found((10, 20, 30, 26.5, 0.25, 0), (5, 6, 7, 8, 1, 77))
    one = stand.result(0, 7, detections={"fused": boxes, "ir": stand.found()})
    path = stand.run(build, tmp_path / "run", [one]) / "fusion.mcap"
    messages = {topic: message for topic, _, message in of_rosbags(path)}
    assert messages["/irvis/ir/detections"].detections == []
    first, second = messages["/irvis/fused/detections"].detections
    assert first.header.stamp.nanosec == 7
    centre, box = first.bbox.center.position, first.bbox
    assert (centre.x, centre.y, box.size_x, box.size_y) == (20, 23.25, 20, 6.5)
    assert box.center.theta == 0
    assert [h.hypothesis.class_id for d in (first, second) for h in d.results] == ["person", "77"]
    assert [h.hypothesis.score for d in (first, second) for h in d.results] == [0.25, 1]


def test_the_source_bag_reads_it_back(tmp_path):
    pairs = results(4)
    path = stand.run(build, tmp_path / "run", pairs) / "fusion.mcap"
    config = bag.Config(
        bag=path, ir="/irvis/ir/image/compressed", vis="/irvis/fused/image/compressed"
    )
    with bag.build(config) as source:
        found = list(source)
    assert [pair.vis.timestamp_ns for pair in found] == [START + STEP * i for i in range(4)]
    for pair, one in zip(found, pairs, strict=True):
        np.testing.assert_array_equal(pair.vis.image, one.image("fused"))
        np.testing.assert_array_equal(pair.ir.image, one.image("ir"))


def test_a_resumed_file_is_that_of_an_unbroken_run(tmp_path):
    pairs = results(11)
    whole = stand.files(stand.run(build, tmp_path / "whole", pairs))
    for kill in (0, 3, 4, 6, 9, 10):
        assert stand.files(stand.broken_run(build, tmp_path / f"{kill}", pairs, [kill])) == whole
    assert stand.files(stand.broken_run(build, tmp_path / "twice", pairs, [5, 6, 10])) == whole


def test_a_damaged_part_ends_the_resumed_run(tmp_path):
    with build(stand.context(tmp_path)) as sink:
        stand.write(sink, results(4))
    part = tmp_path / "fusion.parts" / "000000-000003.mcap"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 255
    part.write_bytes(data)
    with pytest.raises(DataError, match=r"run\.resume: .*000000-000003\.mcap is damaged"):
        build(stand.context(tmp_path, done=4))


def test_what_it_refuses(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"sinks\.fusion: stills have no times"):
        build(stand.context(tmp_path, frame_rate=None))
    with pytest.raises(ConfigError, match="arms a-b and a_b would share the topic /irvis/a_b"):
        build(stand.context(tmp_path, arms=("a-b", "a_b")))
    with pytest.raises(ConfigError, match="arm 'late' merges detections"):
        build(stand.context(tmp_path), arms=("late",))
    with pytest.raises(ConfigError, match="has not received the first 4 pairs"):
        build(stand.context(tmp_path, done=4))
    for time in (-1, None, 2**31 * 10**9):
        with (
            build(stand.context(tmp_path / "times")) as sink,
            pytest.raises(DataError, match="can't be one of ROS"),
        ):
            sink.write(stand.result(0, time))
    assert mcap.topic_of("2nd arm") == "/irvis/arm_2nd_arm"
    monkeypatch.setitem(sys.modules, "mcap.writer", None)
    with pytest.raises(ConfigError, match=r"which irvis\[bags\] brings too"):
        build(stand.context(tmp_path))


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    with (
        build(stand.context(tmp_path), images="raw") as sink,
        stand.full_disk(50_000),
        pytest.raises(DataError, match=r"mcap: cannot be written \(File too large\)"),
    ):
        stand.write(sink, results(200), every=100)


def test_without_a_detector_there_are_images_alone(tmp_path):
    folder = tmp_path / "run"
    sink = build(stand.context(folder, detector=None))
    with sink:
        sink.write(results(1)[0])
        sink.flush()
        sink.finish(stand.summary(1))
    topics = {topic for topic, _, _ in of_mcap(folder / "fusion.mcap")}
    assert topics == {"/irvis/fused/image/compressed", "/irvis/ir/image/compressed"}
