"""Runs on recordings that a test writes, of known shift, scale and clock."""

import json
from fractions import Fraction

import av
import numpy as np

from pipeline.geometry import registration
from tests.helpers import toys
from tests.helpers.runs import execute

EVERY_100_MS = range(0, 10_000, 100)


# Infrared pixels are twice as large: their centre (0, 0) lies between the visible 0 and 1.
TWICE = ((2, 0, 0.5), (0, 2, 0.5), (0, 0, 1))


def record(path, images, times=EVERY_100_MS):
    """Write HW or HWC uint8 images without loss; times in milliseconds."""
    grey = images[0].ndim == 2
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "gray" if grey else "bgr0"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for time, image in zip(times, images, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="gray" if grey else "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def noise(camera, number, size):
    channels = (3,) if camera == "vis" else ()
    generator = np.random.default_rng([len(camera), number])
    return generator.integers(40, 60, (*size, *channels), np.uint8)


def small_infrared(number, size=(24, 32)):
    """Half the visible size; the bright box of frame i begins at (4 + i, 5)."""
    image = noise("ir", number, size)
    image[5:13, 4 + number : 10 + number] = 255
    return image


def write_small(here, count=6):
    """Recordings of two resolutions; only infrared shows something."""
    record(here / "ir.mkv", [small_infrared(i) for i in range(count)])
    record(here / "vis.mkv", [noise("vis", i, (48, 64)) for i in range(count)])


def calibrate(path, homography, ir_size, vis_size):
    wanted = registration.Calibration(
        schema=1, homography=homography, ir_size=ir_size, vis_size=vis_size
    )
    registration.write(path, wanted)
    return {"calibration": str(path)}


def run(source, **more):
    source = {"kind": "video", "ir": "ir.mkv", "vis": "vis.mkv", **source}
    return execute(toys.settings("", source=source, **more))


def boxes(outcome, arm):
    """Left, top, width and height by image number, one box an image."""
    found = json.loads((outcome.folder / "predictions" / f"{arm}.json").read_text())
    return {entry["image_id"]: entry["bbox"] for entry in found}
