"""Bags of two small cameras, written for a test by rosbags or by the package mcap."""

from functools import cache
from pathlib import Path

import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

IR, VIS = "/thermal/image_raw", "/rgb/image_raw"
START = 1_700_000_000_000_000_000  # nanoseconds
STEP = 40_000_000
RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


@cache
def store(version=2):
    return get_typestore(Stores.ROS2_HUMBLE if version == 2 else Stores.ROS1_NOETIC)


def header(time, version=2):
    types = store(version).types
    stamp = types["builtin_interfaces/msg/Time"](time // 10**9, time % 10**9)
    first = () if version == 2 else (0,)  # seq
    return types["std_msgs/msg/Header"](*first, stamp, "camera")


def raw(time, image, encoding, *, pad=0, big=False, version=2):
    """An Image; rows are padded by so many bytes of 255."""
    order = ">" if big else "<"
    rows = np.ascontiguousarray(image.astype(image.dtype.newbyteorder(order))).view(np.uint8)
    rows = rows.reshape(image.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=255)
    height, width = image.shape[:2]
    return store(version).types[RAW](
        header(time, version), height, width, encoding, int(big), rows.shape[1], rows.ravel()
    )


def compressed(time, data, form, *, version=2):
    return store(version).types[COMPRESSED](
        header(time, version), form, np.frombuffer(data, np.uint8)
    )


def ir_image(i):
    """16-bit counts, HW."""
    return (np.arange(48 * 64).reshape(48, 64) % 251 + 30_000 + 7 * i).astype(np.uint16)


def vis_image(i):
    """HWC RGB."""
    return np.random.default_rng(i).integers(0, 256, (48, 64, 3), np.uint8)


def drive(count=5, version=2, shift=3_000_000):
    """Topic, log time and message of so many pairs; log times are 5 ms after the stamps."""
    messages = []
    for i in range(count):
        time = START + STEP * i
        vis = raw(time, vis_image(i), "rgb8", version=version)
        ir = raw(time + shift, ir_image(i), "mono16", version=version)
        messages += [(VIS, time + 5_000_000, vis), (IR, time + shift + 5_000_000, ir)]
    return messages


def write_ros1(path, messages):
    with Writer1(path) as bag:
        _fill(bag, messages, lambda m: store(1).serialize_ros1(m, m.__msgtype__), store(1))
    return path


def write_ros2(path, messages, plugin="mcap"):
    with Writer2(path, version=9, storage_plugin=StoragePlugin[plugin.upper()]) as bag:
        _fill(bag, messages, lambda m: store().serialize_cdr(m, m.__msgtype__), store())
    return path


def _fill(bag, messages, serialize, types):
    connections = {}
    for topic, time, message in messages:
        if topic not in connections:
            connections[topic] = bag.add_connection(topic, message.__msgtype__, typestore=types)
        bag.write(connections[topic], time, serialize(message))


def write_mcap(path, messages, compression=CompressionType.ZSTD, profile="ros2", **settings):
    """By the package mcap; settings are its writer's."""
    with Path(path).open("wb") as file:
        writer = McapWriter(file, compression=compression, **settings)
        writer.start(profile=profile, library="test")
        schemas, channels = {}, {}
        for topic, time, message in messages:
            kind = message.__msgtype__
            if kind not in schemas:
                text = store().generate_msgdef(kind, ros_version=2)[0]
                schemas[kind] = writer.register_schema(kind, "ros2msg", text.encode())
            if topic not in channels:
                channels[topic] = writer.register_channel(topic, "cdr", schemas[kind])
            data = bytes(store().serialize_cdr(message, kind))
            writer.add_message(channels[topic], time, data, time)
        writer.finish()
    return path
