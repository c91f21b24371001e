"""Speed and memory of pairing two recordings by time: `python benchmarks/sync.py`.

Pairs the frames of two cameras at 30 frames per second, with 3 ms of jitter and 2% of the frames
dropped, at tolerances from half a frame (the default) to fifteen frames, where the look-ahead must
be bounded. Prints frames per second of processor time, the number of pairs, their mean difference,
and the peak memory without images, for ten thousand frames and for all.
"""

import argparse
import gc
import time
import tracemalloc

import numpy as np

from pipeline.frames import Frame
from pipeline.sync.pairing import Matcher, pair_by_time

MS = 1_000_000
TOLERANCES = (16, 33, 50, 500)  # ms
IMAGE = np.zeros((1, 1), np.uint8)


def camera(frames, offset, seed):
    """Generate the frames, so that they take no memory."""
    generator = np.random.default_rng(seed)
    for index in range(frames):
        jitter = generator.normal(0, 3 * MS)
        if generator.random() >= 0.02:
            yield Frame(IMAGE, round(index * 1000 * MS / 30 + offset + jitter), index)


def pair(streams, tolerance):
    """Number of frames and pairs, and sum of the differences in ns."""
    frames = pairs = total = 0
    infrared, visible = streams
    for ir, vis in pair_by_time(infrared, visible, Matcher(tolerance * MS)):
        frames += (ir is not None) + (vis is not None)
        if ir is not None and vis is not None:
            pairs += 1
            total += abs(vis.timestamp_ns - ir.timestamp_ns)
    return frames, pairs, total


def peak(frames, tolerance):
    """Peak of allocated memory in KiB."""
    streams = [cleared(camera(frames // 2, n * 5 * MS, n)) for n in range(2)]
    gc.freeze()  # excludes existing objects from collections
    tracemalloc.start()
    pair(streams, tolerance)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1024


def cleared(stream):
    """Collect now and then, which frees the up to 2000 tuples of each length that Python caches."""
    for number, frame in enumerate(stream):
        if number % 500 == 0:
            gc.collect()
        yield frame


def main():
    parser = argparse.ArgumentParser(description="Time the pairing of two recordings.")
    parser.add_argument("--frames", type=int, default=100_000, help="of both cameras together")
    frames = parser.parse_args().frames
    streams = [list(camera(frames // 2, offset, n)) for n, offset in ((1, 0), (2, 5 * MS))]
    print(f"{sum(map(len, streams))} frames; 50000 a second are wanted at the default tolerance")
    print(
        f"{'tolerance ms':>12}{'frames/s':>10}{'pairs':>8}{'mean ms':>9}"
        f"{'KiB at 10000':>14}{f'KiB at {frames}':>15}"
    )
    for tolerance in TOLERANCES:
        began = time.process_time()
        count, pairs, total = pair(streams, tolerance)
        rate = count / (time.process_time() - began)
        row = f"{tolerance:12}{rate:10.0f}{pairs:8}{total / pairs / MS:9.2f}"
        print(f"{row}{peak(10_000, tolerance):14.0f}{peak(frames, tolerance):15.0f}", flush=True)


if __name__ == "__main__":
    main()
