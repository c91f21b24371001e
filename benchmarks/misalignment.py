"""Accuracy and speed of the measured misalignment: `python benchmarks/misalignment.py`.

Shifts the infrared image of pairs by known whole pixels, up to 24 along each axis, and measures the
misalignment: 640x480 drives by day, at dusk, at night, in fog and rain and, if `IRVIS_SHARED`
(default `../shared`) has them, recorded pairs, which have a small misalignment of their own. Prints
the median error and the share of errors over 4 pixels, for all pairs and for those with a reliable
response; the share of reliable responses for images of different streets; and milliseconds per
pair on one thread.
"""

import argparse
import os
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from common.memory import keep_freed_memory
from pipeline.geometry.misalignment import TELLING, misalignment
from pipeline.images import list_images, read_image, to_grey
from pipeline.sources import scenes

MARGIN, OFF = 24, 4
DRIVES = (
    ("day", "clear"), ("dusk", "clear"), ("night", "clear"), ("day", "fog"), ("night", "rain"),
)  # fmt: skip
FOLDERS = ("roadscene", "llvip", "m3svd_frames")
SHARED = Path(os.environ.get("IRVIS_SHARED", "../shared")) / "data"


def drive(when, weather, count):
    """Pairs of three streets, 1.4 seconds apart."""
    config = scenes.Config(frames=count, clip=-(-count // 3), size=(480, 640), time=when,
                           weather=weather, seed=3, frame_rate=0.7)  # fmt: skip
    with scenes.build(config) as source:
        return [(pair.ir.image, to_grey(pair.vis.image)) for pair in source]


def folder(name, count):
    """Recorded pairs, evenly spaced over the folder."""
    files = [list_images(SHARED / name / part) for part in ("infrared", "visible")]
    keys = [key for key in files[1] if key in files[0]]
    chosen = dict.fromkeys(keys[i] for i in np.linspace(0, len(keys) - 1, count).astype(int))
    pairs = [[to_grey(read_image(part[key])) for part in files] for key in chosen]
    return [(ir, vis) for ir, vis in pairs if ir.shape == vis.shape]


def shifted(ir, vis, dx, dy):
    """Views of both images; infrared shows objects dx further right and dy further down."""
    height, width = vis.shape
    ir = ir[MARGIN - dy : height - MARGIN - dy, MARGIN - dx : width - MARGIN - dx]
    return ir, vis[MARGIN:-MARGIN, MARGIN:-MARGIN]


def measure(pairs, repeats):
    """Errors in pixels, responses, and median processor time per pair in milliseconds."""
    rng = np.random.default_rng(0)
    errors, responses, busy = [], [], []
    for ir, vis in pairs:
        for dx, dy in rng.integers(-MARGIN, MARGIN + 1, (repeats, 2)):
            moved = shifted(ir, vis, dx, dy)
            began = time.process_time()
            measured = misalignment(ir=moved[0], vis=moved[1])
            busy.append(1e3 * (time.process_time() - began))
            errors.append(np.hypot(measured.dx - dx, measured.dy - dy))
            responses.append(measured.response)
    return np.array(errors), np.array(responses), float(np.median(busy))


def wrongly_believed(pairs):
    """Share of reliable responses for infrared images of other pairs, mirrored."""
    half = len(pairs) // 2
    mixed = [
        (ir[:, ::-1].copy(), vis)
        for (ir, _), (_, vis) in zip(pairs, pairs[half:] + pairs[:half], strict=True)
        if ir.shape == vis.shape
    ]
    if not mixed:
        return "–"
    return f"{np.mean([misalignment(ir=a, vis=b).response >= TELLING for a, b in mixed]):.0%}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=12, help="pairs per row")
    parser.add_argument("--repeats", type=int, default=4, help="shifts per pair")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    keep_freed_memory()
    rows = [(f"{w} {e}", partial(drive, w, e, arguments.pairs)) for w, e in DRIVES]
    for name in FOLDERS:
        if (SHARED / name).is_dir():
            rows.append((name, partial(folder, name, arguments.pairs)))
    print(f"{'':14}{'pixels':>8}{f'>{OFF} px':>8}{'believed':>10}{'pixels':>8}{f'>{OFF} px':>8}"
          f"{'unrelated':>11}{'ms/pair':>9}")  # fmt: skip
    for name, make in rows:
        pairs = make()
        errors, responses, busy = measure(pairs, arguments.repeats)
        fine = errors[responses >= TELLING]
        print(
            f"{name:14}{np.median(errors):8.2f}{(errors > OFF).mean():8.0%}"
            f"{len(fine) / len(errors):10.0%}{np.median(fine):8.2f}{(fine > OFF).mean():8.0%}"
            f"{wrongly_believed(pairs):>11}{busy:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
