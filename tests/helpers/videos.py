"""Videos of a few plain frames, written for a test."""

from fractions import Fraction

import av
import numpy as np


def write_video(path, times, rate, *, grey=False, codec="ffv1", size=(48, 64)):
    """Frame i is uniformly grey, of level 10 * i modulo 250; times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "gray" if grey else "bgr0" if codec == "ffv1" else "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index, time in enumerate(times):
            image = np.full((*size, 3), 10 * index % 250, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_deep(path, images, pixel_format="gray16le"):
    """HW uint16 images at 10 frames a second, without loss."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = images.shape[1:]
        stream.pix_fmt = pixel_format
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format=pixel_format)
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
