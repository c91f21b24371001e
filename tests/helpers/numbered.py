"""Recordings whose pictures tell their number and which way up they are."""

import struct
from fractions import Fraction

import av
import numpy as np

from pipeline.frames import FramePair
from pipeline.sources import video

HEIGHT, WIDTH = 48, 64
BITS = 6  # of a number, as bars from left to right
_BAR = WIDTH // 8
EVERY_40 = [40 * i for i in range(12)]  # milliseconds


def picture(number):
    """HWC uint8: a white bar at the left, six bars of bits, all above a dark half."""
    image = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    bars = [1, *(number >> bit & 1 for bit in range(BITS)), 0]
    for at, bar in enumerate(bars):
        image[: HEIGHT // 2, at * _BAR : (at + 1) * _BAR] = 220 if bar else 90
    return image


def number(image):
    """The number that a picture, grey or in colour, shows; None where it isn't upright."""
    grey = image if image.ndim == 2 else image.mean(axis=2)
    if grey.shape != (HEIGHT, WIDTH):
        return None
    bars = grey[4 : HEIGHT // 2 - 4].mean(axis=0).reshape(8, _BAR)[:, 2:-2].mean(axis=1)
    dark = grey[HEIGHT // 2 + 4 :].mean()
    if dark > 60 or bars[0] < 155 or bars[7] > 155 or bars.min() < 60:
        return None
    return sum(1 << bit for bit in range(BITS) if bars[1 + bit] > 155)


def write(
    path, times, *, stated=25, codec="libx264", b_frames=0, rotation=0, base=1000, numbers=None
):
    """A recording of numbered pictures, coded turned by ``rotation`` degrees (mp4) and marked so.

    Args:
        path: Its suffix chooses the container.
        times: Of each picture, in units of 1 / ``base`` seconds; None where the file has none.
        stated: The rate that the file names.
        codec: FFmpeg's encoder.
        b_frames: How many frames in a row may be coded after a later one.
        rotation: 0, 90, 180 or 270.
        base: Ticks a second.
        numbers: Of the pictures, in place of 0, 1, 2, ...
    """
    options = {"bf": str(b_frames), "crf": "16"} if codec == "libx264" else {"qscale": "2"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=stated, options=options)
        turned = (WIDTH, HEIGHT) if rotation in (90, 270) else (HEIGHT, WIDTH)
        stream.height, stream.width = turned
        stream.pix_fmt = "yuv420p"
        if times is not None:
            stream.codec_context.time_base = Fraction(1, base)
        for index in range(len(times if times is not None else numbers)):
            image = np.rot90(picture(numbers[index] if numbers else index), rotation // 90)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if rotation:
        _mark(path, rotation)
    return path


def _mark(path, rotation):
    """Write the display matrix into the header of an mp4's first track (ISO 14496-12, tkhd)."""
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    content = bytearray(path.read_bytes())
    at = content.find(b"tkhd") + 44  # after version, times, id, duration, layer and volume
    content[at : at + 36] = matrix
    path.write_bytes(content)


def build(ir, vis, **more):
    return video.build(video.Config(ir=ir, vis=vis, **more))


def numbers(source):
    """What the two pictures of each whole pair show."""
    with source:
        found = [pair for pair in source if isinstance(pair, FramePair) and pair.problem() is None]
    return [(number(pair.ir.image), number(pair.vis.image)) for pair in found]


def labelled(here, names):
    """Two recordings, and labels of these names, each with a box of another height."""
    (here / "labels").mkdir()
    for i, name in enumerate(names):
        (here / "labels" / f"{name}.txt").write_text(f"0 0.5 0.5 0.5 {(i + 1) / 16}\n")
    write(here / "ir.mp4", EVERY_40)
    write(here / "vis.mp4", EVERY_40)
    return here / "ir.mp4", here / "vis.mp4"
