"""What an attack found in the readers of single files: labels, lists, images, tables."""

import contextlib
import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from eval.labels import LabelSet
from pipeline.engine.compute import MOST_PIXELS, batch_length
from pipeline.images import read_image
from pipeline.sinks import _page
from pipeline.sources._lists import rows
from pipeline.sources._timestamps import image_times, video_times
from pipeline.sources._video_file import VideoFile
from tests.helpers.videos import write_video


@pytest.mark.parametrize("read", [image_times, video_times, lambda path: list(rows(path))])
def test_lists_that_are_pipes_or_no_text(here, read):
    os.mkfifo("list")
    with pytest.raises(DataError, match="list: cannot be read: it is a pipe or a device"):
        read(Path("list"))
    for content in (b"\xff\xfe\x00", b"frame,time_ns\n" + b'"' + b"x" * 200_000 + b'",1\n'):
        Path("csv").write_bytes(content)
        with pytest.raises(DataError, match="csv"):
            read(Path("csv"))


@pytest.mark.parametrize("encoding", ["GBK", "klingon", "utf-8"])
def test_labels_in_other_encodings(tmp_path, encoding):
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><annotation><path>车</path><object>'
        "<name>car</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
        "</object></annotation>"
    )
    (tmp_path / "a.xml").write_bytes(text.encode("GBK"))
    if encoding == "GBK":
        found = LabelSet.open(tmp_path, names={2: "car"}).get("a", (9, 9))
        assert found.xyxy.tolist() == [[1, 1, 5, 5]]
    else:
        with pytest.raises(DataError, match=r"a\.xml: not readable as XML"):
            LabelSet.open(tmp_path, names={2: "car"})


@pytest.mark.parametrize("line", ["1_0 .5 .5 .1 .1", "0 0.5_1 .5 .1 .1", "١ .5 .5 .1 .1"])
def test_numbers_that_only_python_takes(tmp_path, line):
    (tmp_path / "a.txt").write_text(line)
    with pytest.raises(DataError, match=r"a\.txt:1"):
        LabelSet.open(tmp_path, names={0: "person", 1: "x", 10: "y"})


def test_images_of_wrong_tags_and_other_formats(tmp_path):
    picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    for suffix in ("DDS", "SPIDER", "BLP", "GIF"):
        saved = io.BytesIO()  # Pillow takes a path's suffix for SPIDER's own from then on
        mode = {"SPIDER": "L", "DDS": "RGB"}.get(suffix, "P")
        picture.convert(mode).save(saved, suffix)
        (tmp_path / "a.png").write_bytes(saved.getvalue())
        with pytest.raises(DataError, match=r"a\.png: "):
            read_image(tmp_path / "a.png")
    picture.save(tmp_path / "a.jpg", exif=exif)
    whole = (tmp_path / "a.jpg").read_bytes()
    at = whole.index(b"\x01\x12\x00\x03")
    for kind in range(14):  # the orientation, said to be of each of TIFF's types
        (tmp_path / "a.jpg").write_bytes(whole[: at + 3] + bytes([kind]) + whole[at + 4 :])
        with contextlib.suppress(DataError):
            assert read_image(tmp_path / "a.jpg").shape == (8, 8, 3)


def test_batches_of_large_images_are_small():
    assert batch_length((480, 640), 4) == 4
    assert batch_length((6000, 8000), 4) == 1
    assert batch_length((3000, 4000), 4) == MOST_PIXELS // 12_000_000


def test_pages_take_ledgers_of_any_text(tmp_path):
    (tmp_path / "ledger.csv").write_text("key,status,ir_frame,vis_frame,reason\n'=a,failed,1\n")
    lines, count = _page._ledger(tmp_path / "ledger.csv")
    assert count == 1
    assert lines[0] | {"ir_frame": "1"} == {
        "key": "=a", "status": "failed", "ir_frame": "1", "vis_frame": "", "reason": ""
    }  # fmt: skip


def test_a_png_that_claims_gigabytes(tmp_path):
    saved = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(saved, "PNG")
    whole = bytearray(saved.getvalue())
    at = whole.index(b"IDAT") - 4
    whole[at : at + 4] = b"\xf0\0\0\0"  # the chunk's length
    (tmp_path / "a.png").write_bytes(whole)
    tracemalloc.start()
    with contextlib.suppress(DataError):  # Pillow reads what is there
        assert read_image(tmp_path / "a.png").shape == (8, 8, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20


def test_a_video_of_an_unknown_codec(tmp_path):
    write_video(tmp_path / "a.mp4", [0, 40, 80], 25, codec="mpeg4", size=(96, 32))
    content = (tmp_path / "a.mp4").read_bytes()
    for mark, other in ((b"mp4v", b"XXXX"), (b"\x20\x11", b"\xfe\x11")):  # its name, its number
        assert mark in content
        content = content.replace(mark, other)
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(DataError, match="no video stream of a codec that FFmpeg knows"):
        VideoFile(tmp_path / "a.mp4", "gray")
