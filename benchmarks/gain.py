"""Speed of automatic gain: `python benchmarks/gain.py [--check]`.

Times automatic gain on 16-bit infrared frames of 512x640, and the same with percentiles by NumPy,
in one run. With --check the exit code is 1 if a frame takes 2 ms or more.
"""

import argparse
import os
import sys
import time

import numpy as np

from pipeline.sources._gain import SHARES, AutoGain, stretch

SIZE, FRAMES, WANTED = (512, 640), 100, 2.0


def plain(image):
    low, _, high = np.percentile(image, [100 * share for share in SHARES])
    return stretch(image, low, high)


def milliseconds(run, images):
    """Median time of a frame, without the first."""
    times = []
    for i in range(FRAMES):
        start = time.perf_counter()
        run(images[i % len(images)])
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times[1:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 where the claim is missed"
    )
    check = parser.parse_args().check
    rng = np.random.default_rng(0)
    ramp = np.linspace(28_000, 31_000, SIZE[0] * SIZE[1]).reshape(SIZE)
    images = [np.rint(ramp + rng.normal(0, 20, SIZE)).astype(np.uint16) for _ in range(8)]
    print(f"load {os.getloadavg()[0]:.2f}")
    ours, theirs = milliseconds(AutoGain(), images), milliseconds(plain, images)
    print(f"gain {ours:.2f} ms a frame of 512x640, by np.percentile alone {theirs:.2f} ms")
    kept = ours < WANTED
    print(f"{'kept  ' if kept else 'MISSED'} gain, ms a frame: {ours:.2f} (wanted < {WANTED})")
    print(f"ratio of the two: {theirs / ours:.1f}")
    sys.exit(1 if check and not kept else 0)


if __name__ == "__main__":
    main()
