"""Speed of generated drives.

    python benchmarks/drives.py
    python benchmarks/drives.py --frames 100 --size 480 640

Iterates the source `scenes` as in a run, labels included, over one street at 10 frames per second,
so that new stretches of it are painted during the drive. Prints frames per second, processor time
per frame and time to the first frame, for each time of day and weather.
"""

import argparse
import time
from itertools import product
from typing import Literal

import cv2

from pipeline.sources.scenes import Config, build

TIMES: tuple[Literal["day", "dusk", "night"], ...] = ("day", "dusk", "night")
WEATHERS: tuple[Literal["clear", "fog", "rain"], ...] = ("clear", "fog", "rain")


def measure(config: Config) -> tuple[float, float, float]:
    """Frames per second, processor time per frame and time to the first frame, both in ms."""
    with build(config) as source:
        began = time.perf_counter()
        pairs = iter(source)
        next(pairs)
        first = time.perf_counter()
        busy = time.process_time()
        for pair in pairs:
            source.labels(pair.key, config.size)
        frames, wall = config.frames - 1, time.perf_counter() - first
        busy = time.process_time() - busy
    return frames / wall, 1000 * busy / frames, 1000 * (first - began)


def main():
    parser = argparse.ArgumentParser(description="Time the generated drives.")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--size", type=int, nargs=2, default=(256, 320), help="height, width")
    arguments = parser.parse_args()
    height, width = arguments.size
    print(
        f"{width}x{height}, {arguments.frames} frames a row, OpenCV: {cv2.getNumThreads()} threads"
    )
    print(f"{'time':8}{'weather':9}{'frames/s':>10}{'CPU ms/frame':>14}{'first frame ms':>16}")
    for when, weather in product(TIMES, WEATHERS):
        config = Config(frames=arguments.frames, clip=arguments.frames, size=(height, width),
                        time=when, weather=weather)  # fmt: skip
        rate, busy, first = measure(config)
        print(f"{when:8}{weather:9}{rate:10.1f}{busy:14.1f}{first:16.0f}", flush=True)


if __name__ == "__main__":
    main()
