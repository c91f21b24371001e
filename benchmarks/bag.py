"""Speed and memory of reading a bag: `python benchmarks/bag.py`.

Writes one camera's frames (480x640 RGB, smooth shapes with noise) as a folder of PNGs, as a ROS 2
MCAP of PNGs (`CompressedImage`), as one of raw images (`Image`), and as a ROS 1 bag of raw images,
and decodes each in turns by the sources' own streams: a tenth of `--frames` in each. Prints the
rates, and the ratio of each bag's rate to the folder's, by CPU time and by the clock: the median
over the rounds.

Then it reads raw bags of `--frames` and of a tenth of them, at half the size, in processes of their
own, and compares the peaks of memory.
"""

import argparse
import os
import resource
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import turns
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from pipeline.sources._bag_topic import BagTopic
from pipeline.sources.frame_folder import FrameFolder

HEIGHT, WIDTH = 480, 640
STEP = 40_000_000  # nanoseconds
TOPIC = "/camera/image"
WANTED, MOST_GROWTH = 0.9, 64  # of the folder's rate; MB from a tenth of the frames to all
DISTINCT = 100  # images


def images(scale=1):
    """HWC RGB: blurred noise, and a little that is not."""
    height, width = HEIGHT // scale, WIDTH // scale
    rng = np.random.default_rng(0)
    for _ in range(DISTINCT):
        rough = rng.normal(128, 60, (height // 8, width // 8, 3)).astype(np.float32)
        smooth = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
        yield np.clip(smooth + rng.normal(0, 2, smooth.shape), 0, 255).astype(np.uint8)


def messages(store, version, pngs, count, scale):
    """Time and message; raw images if there are no PNGs."""
    types = store.types
    pictures = (
        list(images(scale)) if pngs is None else [np.frombuffer(png, np.uint8) for png in pngs]
    )
    for i in range(count):
        time = 10**18 + i * STEP
        stamp = types["builtin_interfaces/msg/Time"](time // 10**9, time % 10**9)
        header = types["std_msgs/msg/Header"](*([] if version == 2 else [i]), stamp, "")
        picture = pictures[i % DISTINCT]
        if pngs is None:
            kind = types["sensor_msgs/msg/Image"]
            height, width = picture.shape[:2]
            size = (height, width, "rgb8", 0, 3 * width)
            yield time, kind(header, *size, picture.ravel())
        else:
            yield time, types["sensor_msgs/msg/CompressedImage"](header, "png", picture)


def write_bag(path, version, pngs, count, scale=1):
    """A bag by rosbags' writers."""
    store = get_typestore(Stores.ROS2_HUMBLE if version == 2 else Stores.ROS1_NOETIC)
    mcap = StoragePlugin.MCAP
    with Writer2(path, version=9, storage_plugin=mcap) if version == 2 else Writer1(path) as bag:
        connection = None
        for time, message in messages(store, version, pngs, count, scale):
            kind = message.__msgtype__
            if connection is None:
                connection = bag.add_connection(TOPIC, kind, typestore=store)
            serialize = store.serialize_cdr if version == 2 else store.serialize_ros1
            bag.write(connection, time, serialize(message, kind))
    return path


def write_folder(folder, pngs, count):
    """PNGs and their times."""
    folder.mkdir()
    lines = ["name,time_ns"]
    for i in range(count):
        name = f"{i:06d}.png"
        (folder / name).write_bytes(pngs[i % DISTINCT])
        lines.append(f"{name},{10**18 + i * STEP}")
    times = folder.with_suffix(".csv")
    times.write_text("\n".join(lines) + "\n")
    return folder, times


def read(stream):
    """Decode all frames; their number."""
    count = sum(item.image.ndim == 3 for item in stream)
    stream.close()
    return count


def topic(path):
    """The stream of a bag."""
    return BagTopic(path, TOPIC, "vis", "header")


def peak(path):
    """Print the peak memory of this process after reading a bag."""
    read(topic(Path(path)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def grown(here, count):
    """Peaks in MB of reading a tenth and all frames of a raw bag, in processes of their own."""
    for frames in (count // 10, count):
        path = write_bag(here / f"memory{frames}", 2, None, frames, scale=2)
        output = os.popen(f"{sys.executable} {__file__} --peak {path}").read()  # noqa: S605
        yield frames, int(output)


def claim(text, value, wanted, kept):
    """Print a claim and whether it is kept."""
    print(f"{'kept  ' if kept else 'MISSED'} {text}: {value} (wanted {wanted})")


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    if parsed.peak:
        peak(parsed.peak)
        return
    frames = parsed.frames // 10
    pngs = [cv2.imencode(".png", image[:, :, ::-1])[1].tobytes() for image in images()]
    print(f"{frames} frames of {WIDTH}x{HEIGHT}, {parsed.rounds} rounds, load {turns.load()}")
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        pictures = write_folder(here / "png", pngs, frames)
        bags = {
            "MCAP of PNGs": write_bag(here / "compressed", 2, pngs, frames),
            "MCAP of raw images": write_bag(here / "raw", 2, None, frames),
            "ROS 1 bag of raw images": write_bag(here / "raw.bag", 1, None, frames),
        }
        streams = {"folder of PNGs": lambda: FrameFolder(*pictures)}
        streams |= {name: lambda path=path: topic(path) for name, path in bags.items()}
        for name, make in streams.items():
            assert read(make()) == frames, name
        work = {
            name: lambda make=make: turns.call(lambda: read(make()))
            for name, make in streams.items()
        }
        times = turns.in_turns(parsed.rounds, work)
        own = times["folder of PNGs"]
        for name, spent in times.items():
            cpu, wall = (frames / turns.median(spent, clock) for clock in ("cpu", "wall"))
            print(f"{name}: {cpu:.0f} frames per CPU second, {wall:.0f} per second of the clock")
        for name in bags:
            for clock, text in (("cpu", "CPU time"), ("wall", "the clock")):
                rate = turns.ratio(own, times[name], clock)
                text = f"{name}, rate over the folder's by {text}"
                claim(text, f"{rate:.2f}", f">= {WANTED}", rate >= WANTED)
    with tempfile.TemporaryDirectory() as folder:
        (few, least), (many, most) = grown(Path(folder), parsed.frames)
        text = f"peak memory of {many} frames less that of {few} ({least} MB)"
        claim(text, f"{most - least} MB", f"<= {MOST_GROWTH} MB", most - least <= MOST_GROWTH)


if __name__ == "__main__":
    main()
