"""Recordings of many kinds: every pair's frames are the true ones, or the run says why not."""

import av
import cv2
import numpy as np
import pytest

from common.errors import DataError
from pipeline.sources import frame_folder
from tests.helpers.numbered import EVERY_40, build, labelled, number, numbers, picture, write
from tests.helpers.videos import write_deep, write_video


def equal(count):
    return [(i, i) for i in range(count)]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_frames_are_turned_as_players_turn_them(here, rotation):
    write(here / "ir.mp4", EVERY_40)
    write(here / "vis.mp4", EVERY_40, rotation=rotation)
    assert numbers(build(here / "ir.mp4", here / "vis.mp4")) == equal(12)
    assert numbers(build(here / "vis.mp4", here / "ir.mp4")) == equal(12)


def test_a_turn_that_is_no_quarter_is_refused(here):
    write(here / "ir.mp4", EVERY_40)
    write(here / "vis.mp4", EVERY_40, rotation=90)
    content = (here / "vis.mp4").read_bytes()
    at = content.find(b"tkhd") + 44
    one = (46341).to_bytes(4, "big")
    turned = content[:at] + one + one + content[at + 8 :]
    (here / "vis.mp4").write_bytes(turned)
    with pytest.raises(DataError, match=r"vis\.mp4: the file rotates its frames by no multiple"):
        numbers(build(here / "ir.mp4", here / "vis.mp4"))


def test_the_tolerance_comes_from_the_frames_and_not_from_a_stated_rate(here):
    jitter = np.random.default_rng(1).integers(0, 4, 12)
    write(here / "ir.mkv", [int(t + j) for t, j in zip(EVERY_40, jitter, strict=True)])
    write(here / "vis.mkv", EVERY_40, stated=1000)
    with av.open(str(here / "vis.mkv")) as file:
        assert file.streams.video[0].average_rate == 1000
    source = build(here / "ir.mkv", here / "vis.mkv")
    assert source.tolerance_ns == 20_000_000
    assert source.frame_rate == 25
    assert numbers(source) == equal(12)


def test_a_stream_without_time_stamps_is_counted_at_its_own_rate(here, caplog):
    write(here / "ir.h264", None, stated=30, numbers=list(range(30)))
    write(here / "vis.mp4", [i * 512 for i in range(30)], stated=30, base=15360)
    assert numbers(build(here / "ir.h264", here / "vis.mp4")) == equal(30)
    assert "has no time stamps; 30 frames a second are assumed (as its stream" in caplog.text
    assert "source.ir_times=FILE.csv" in caplog.text


def test_an_assumed_rate_that_nothing_names_is_said(here, caplog):
    images = [cv2.imencode(".jpg", picture(i)[:, :, ::-1])[1].tobytes() for i in range(6)]
    (here / "ir.mjpeg").write_bytes(b"".join(images))
    write(here / "vis.mp4", EVERY_40)
    assert numbers(build(here / "ir.mjpeg", here / "vis.mp4")) == equal(6)
    assert "25 frames a second are assumed (FFmpeg's guess, for it names no rate)" in caplog.text


def test_clocks_that_have_nothing_in_common(here):
    write(here / "ir.mkv", EVERY_40)
    write(here / "vis.ts", [1_000_300 + t for t in EVERY_40])
    with pytest.raises(
        DataError,
        match=r"no pair: infrared covers 0\.0\.\.0\.5 s, visible 1000\.3\.\.1000\.8 s.*offset_ms",
    ):
        build(here / "ir.mkv", here / "vis.ts")
    assert numbers(build(here / "ir.mkv", here / "vis.ts", offset_ms=0)) == equal(12)


def test_times_count_from_each_files_start_and_starts_are_said(here, caplog):
    write(here / "ir.mkv", EVERY_40)
    write(here / "vis.ts", [200 + t for t in EVERY_40])
    assert numbers(build(here / "ir.mkv", here / "vis.ts")) == equal(12)
    assert "infrared file starts at 0.000 s and the visible one at 0.200 s" in caplog.text
    assert "source.offset_ms=-200" in caplog.text  # what follows it pairs by one clock
    shared = numbers(build(here / "ir.mkv", here / "vis.ts", offset_ms=-200))
    assert shared == [(i + 5, i) for i in range(7)]


def test_frames_of_avi_that_are_coded_out_of_order(here):
    write(here / "ir.avi", list(range(20)), base=25, b_frames=2)
    write(here / "vis.mkv", [40 * i for i in range(20)])
    assert numbers(build(here / "ir.avi", here / "vis.mkv")) == equal(20)


def test_one_recording_is_not_both_cameras(here, caplog):
    write(here / "a.mkv", EVERY_40)
    (here / "b.mkv").symlink_to(here / "a.mkv")
    with pytest.raises(DataError, match=r"same recording, .*a\.mkv; .*source\.ir_track"):
        build(here / "a.mkv", here / "b.mkv")
    (here / "b.mkv").unlink()
    (here / "b.mkv").write_bytes((here / "a.mkv").read_bytes())
    assert numbers(build(here / "a.mkv", here / "b.mkv")) == equal(12)
    assert "equal byte for byte" in caplog.text


def two_tracks(path):
    """Small numbered pictures from 20 on first, then larger plain ones."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream, (width, height) in zip(streams, ((64, 48), (128, 96)), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for index in range(12):
            for stream, image in zip(
                streams, (picture(20 + index), np.full((96, 128, 3), 90, np.uint8)), strict=True
            ):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = index
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def test_a_track_can_be_chosen_and_the_largest_is_the_best(here, caplog):
    both = two_tracks(here / "both.mkv")
    write(here / "ir.mp4", EVERY_40)
    source = build(here / "ir.mp4", both, vis_track=0)
    assert numbers(source) == [(i, 20 + i) for i in range(12)]
    assert "tracks" not in caplog.text
    with build(here / "ir.mp4", both) as source:
        assert next(iter(source)).vis.size == (96, 128)
    assert "has 2 video tracks (0: 64x48, 1: 128x96); 1 is taken, source.vis_track" in caplog.text
    with pytest.raises(DataError, match=r"source\.vis_track=2: .* has 2 video track"):
        build(here / "ir.mp4", both, vis_track=2)
    with build(both, both, ir_track=0, vis_track=1, tolerance_ms=1) as source:
        assert number(next(iter(source)).ir.image) == 20


def test_a_cover_picture_is_no_recording(here):
    write(here / "ir.mp4", EVERY_40)
    with av.open(str(here / "vis.mp4"), "w") as container:
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 320, 240, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = container.add_stream("libx264", rate=25, options={"bf": "0", "crf": "16"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        image = np.full((240, 320, 3), 200, np.uint8)
        container.mux(cover.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(cover.encode(None))
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert numbers(build(here / "ir.mp4", here / "vis.mp4")) == equal(12)


def test_deep_infrared_in_three_channels_keeps_its_bits(here):
    counts = np.linspace(0, 60_000, 48 * 64).reshape(1, 48, 64).astype(np.uint16)
    three = np.repeat(counts[0][:, :, None], 3, 2)
    with av.open(str(here / "ir.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gbrp16le"
        frame = av.VideoFrame.from_ndarray(three, format="rgb48le").reformat(format="gbrp16le")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_deep(here / "grey.mkv", counts)
    write_video(here / "vis.mkv", [0], 10)
    images = [
        next(iter(build(here / name, here / "vis.mkv", ir_range=(0, 60_000)))).ir.image
        for name in ("ir.mkv", "grey.mkv")
    ]
    assert np.abs(images[0].astype(int) - images[1].astype(int)).max() <= 1
    assert len(np.unique(images[0])) == 256


@pytest.mark.parametrize("start", [b"FFF\0", b"\xed\xfe\0\0N\0o\0r\0p\0i\0x\0"])
def test_sequences_are_refused_with_a_converter(here, start):
    write(here / "vis.mp4", EVERY_40)
    (here / "a.seq").write_bytes(start + bytes(range(256)))
    with pytest.raises(DataError, match=r"a\.seq: .*convert it to images with .*frame_folder"):
        build(here / "a.seq", here / "vis.mp4")


def test_false_colours_of_a_recording_are_said(here, caplog):
    image = cv2.applyColorMap(picture(5)[:, :, 0], cv2.COLORMAP_JET)
    with av.open(str(here / "ir.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write(here / "vis.mkv", [0])
    list(build(here / "ir.mkv", here / "vis.mkv"))
    assert "ir.mkv: infrared in colour" in caplog.text
    assert "are the cameras exchanged?" in caplog.text


@pytest.mark.parametrize(("form", "first"), [("{:06d}", None), ("frame_{}", 0), ("a{:03d}", 1)])
def test_labels_by_frame_number(here, form, first):
    files = labelled(here, [form.format(i + (first or 0)) for i in range(12)])
    with build(*files, labels=here / "labels", labels_from=first) as source:
        assert source.has_labels
        source.check()
        heights = [source.labels(f"{i:06d}", (48, 64)).xyxy[0, 3] for i in range(12)]
    assert heights == pytest.approx([24 + 1.5 * (i + 1) for i in range(12)])


def test_labels_that_count_from_one_are_not_taken_for_the_frame_before(here):
    files = labelled(here, range(1, 13))
    with pytest.raises(DataError, match=r"give source\.labels_from=1"):
        build(*files, labels=here / "labels")


def test_frames_without_labels_are_said(here):
    files = labelled(here, [1, 5])
    with build(*files, labels=here / "labels") as source:
        from_one, few = source.label_report.warnings
    assert "frame 1 and no frame 0" in from_one
    assert "source.labels_from=1" in from_one
    assert few == "10 of 12 visible frames have no labels and count as background"
    with build(*files, labels=here / "labels", labels_from=0) as source:
        assert source.label_report.warnings == [few]


def test_labels_from_one_of_a_file_that_does_not_state_its_frames(here):
    labelled(here, range(1, 13))
    write(here / "ir.mkv", EVERY_40)
    write(here / "vis.mkv", EVERY_40)
    with build(here / "ir.mkv", here / "vis.mkv", labels=here / "labels") as source:
        assert source.count is None
        (text,) = source.label_report.warnings
    assert "frame 1 and no frame 0" in text


def test_float_infrared_without_its_range_is_refused(here):
    for name in ("ir", "vis"):
        (here / name).mkdir()
        (here / f"{name}.csv").write_text(f"name,time_ns\n0.{'tif' if name == 'ir' else 'png'},0\n")
    cv2.imwrite(str(here / "ir/0.tif"), np.linspace(20, 30, 3072, dtype=np.float32).reshape(48, 64))
    cv2.imwrite(str(here / "vis/0.png"), picture(0))
    own = {n: here / n for n in ("ir", "vis")} | {
        f"{n}_times": here / f"{n}.csv" for n in ("ir", "vis")
    }
    with pytest.raises(DataError, match=r"infrared of floats needs source\.ir_range"):
        list(frame_folder.build(frame_folder.Config(**own)))
    (pair,) = frame_folder.build(frame_folder.Config(**own, ir_range=(20, 30)))
    assert (pair.ir.image[0, 0], pair.ir.image[-1, -1]) == (0, 255)
    with pytest.raises(DataError, match="are the same folder"):
        frame_folder.build(frame_folder.Config(**{**own, "vis": here / "ir"}))
