from fractions import Fraction

import av
import numpy as np
import pytest

from errors import DataError
from pipeline.sources import video


def write_video(path, times, rate, *, grey=False, codec="ffv1", size=(48, 64)):
    """Frame i is uniformly grey of level 10 * i; times in milliseconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "gray" if grey else "bgr0" if codec == "ffv1" else "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for index, time in enumerate(times):
            image = np.full((*size, 3), 10 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def build(here, **more):
    return video.build(video.Config(ir=here / "ir.mkv", vis=here / "vis.mkv", **more))


def test_pairs_of_two_rates(here):
    write_video(here / "ir.mkv", [i * 100 for i in range(6)], 10, grey=True)
    write_video(here / "vis.mkv", [i * 200 for i in range(3)], 5)
    with build(here) as source:
        found = list(source)
    whole = [pair for pair in found if pair.problem() is None]
    assert [(pair.key, pair.ir.index) for pair in whole] == [
        ("000000", 0), ("000001", 2), ("000002", 4),
    ]  # fmt: skip
    assert [pair.key for pair in found if pair.vis is None] == [
        "ir_000001", "ir_000003", "ir_000005",
    ]  # fmt: skip
    assert [pair.vis.timestamp_ns for pair in whole] == [0, 200_000_000, 400_000_000]
    assert source.frame_rate == 5
    assert whole[1].ir.image.shape == (48, 64)
    assert whole[1].ir.image.mean() == pytest.approx(20, abs=2)
    assert whole[1].vis.image.shape == (48, 64, 3)
    assert whole[1].vis.image.mean() == pytest.approx(10, abs=2)


def test_tolerance_can_be_given(here):
    write_video(here / "ir.mkv", [30, 130, 230], 10)
    write_video(here / "vis.mkv", [0, 100, 200], 10)
    assert sum(pair.problem() is None for pair in build(here)) == 3
    assert sum(pair.problem() is None for pair in build(here, tolerance_ms=29)) == 0


@pytest.mark.parametrize(("name", "content"), [("no.mkv", None), ("text.mkv", b"hello")])
def test_files_that_are_no_video(here, name, content):
    write_video(here / "vis.mkv", [0], 10)
    if content:
        (here / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        video.build(video.Config(ir=here / name, vis=here / "vis.mkv"))


def test_a_truncated_recording_says_where_it_ends(here, caplog):
    write_video(here / "vis.mkv", [i * 100 for i in range(20)], 10)
    write_video(here / "ir.mp4", [i * 100 for i in range(20)], 10, codec="mpeg4")
    # the index at the end of the file is moved to its front, then the file is cut
    with (
        av.open(str(here / "ir.mp4")) as old,
        av.open(str(here / "front.mp4"), "w", options={"movflags": "faststart"}) as new,
    ):
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    whole = (here / "front.mp4").read_bytes()
    (here / "cut.mp4").write_bytes(whole[: len(whole) * 3 // 4])
    source = video.build(video.Config(ir=here / "cut.mp4", vis=here / "vis.mkv"))
    found = list(source)
    paired = [pair for pair in found if pair.problem() is None]
    assert 0 < len(paired) < 20
    assert [pair.vis.index for pair in found] == list(range(20))  # no decoded frame is lost
    assert "cut.mp4: " in caplog.text
    assert "of 20 frames could be read" in caplog.text


def test_shared_clip_pairs_every_frame(shared):
    clips = shared / "data" / "m3svd"
    name = "0111_1716.mp4"
    config = video.Config(ir=clips / "infrared" / name, vis=clips / "visible" / name)
    with video.build(config) as source:
        assert source.count == 151
        keys = [pair.key for pair in source if pair.problem() is None]
    assert keys == [f"{i:06d}" for i in range(151)]
