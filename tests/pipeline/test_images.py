import unicodedata
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from pipeline.images import (
    list_images,
    outside,
    read_image,
    to_eight_bit,
    to_grey,
    to_rgb,
    write_png,
)

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.stack([GREY, GREY + 60, GREY + 120], axis=2)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp"])
def test_reads_what_was_written(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(COLOUR).save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert np.array_equal(read_image(path), COLOUR)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_modes_are_one_channel(tmp_path, mode):
    Image.fromarray(GREY).convert(mode).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").shape == (6, 8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour_modes_are_three_channels(tmp_path, mode):
    Image.fromarray(COLOUR).convert(mode).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png").shape == (6, 8, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_stays_sixteen_bit(tmp_path, suffix):
    counts = np.array([[0, 7000], [9000, 65535]], np.uint16)
    Image.fromarray(counts).save(tmp_path / f"x.{suffix}")
    image = read_image(tmp_path / f"x.{suffix}")
    assert image.dtype == np.uint16
    assert np.array_equal(image, counts)
    assert to_eight_bit(image, (7000, 9000), "x").tolist() == [[0, 0], [255, 255]]
    assert to_eight_bit(np.uint16([[8000]]), (7000, 9000), "x").tolist() == [[128]]
    with pytest.raises(DataError, match=r"x: 16-bit.*ir_range"):
        to_eight_bit(image, None, "x")


def test_rotation_marks_are_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(COLOUR).save(tmp_path / "x.png", exif=exif)
    assert read_image(tmp_path / "x.png").shape == (8, 6, 3)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_truncated_images_are_refused(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=f"x.{suffix}: "):
        read_image(path)


def test_missing_and_other_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"x\.png: no such image"):
        read_image(tmp_path / "x.png")
    (tmp_path / "x.png").write_text("hello")
    with pytest.raises(DataError, match="not an image"):
        read_image(tmp_path / "x.png")


def test_png_round_trip_and_channels(tmp_path):
    write_png(tmp_path / "x.png", COLOUR)
    assert np.array_equal(read_image(tmp_path / "x.png"), COLOUR)
    assert np.array_equal(to_rgb(GREY)[:, :, 1], GREY)
    assert to_rgb(COLOUR) is COLOUR
    assert to_grey(np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])).tolist() == [[76, 150, 29]]


COUNTS = np.linspace(29_900, 30_700, 48).round().astype(np.uint16).reshape(6, 8)


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_sixteen_bit_in_three_equal_channels_is_grey(tmp_path, suffix):
    path = tmp_path / f"x.{suffix}"
    cv2.imwrite(str(path), np.repeat(COUNTS[:, :, None], 3, 2))
    assert np.array_equal(read_image(path), COUNTS)


def test_fewer_bits_keep_their_counts(tmp_path):
    counts = COUNTS - 29_000
    (tmp_path / "x.pgm").write_bytes(b"P5\n8 6\n4095\n" + counts.astype(">u2").tobytes())
    assert np.array_equal(read_image(tmp_path / "x.pgm"), counts)


def test_deep_colour_is_refused_and_not_cut_to_eight_bit(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), np.dstack([COUNTS, COUNTS, COUNTS + 1]))
    with pytest.raises(DataError, match=r"x\.png: colour of over 8 bit .* save it as 8 bit"):
        read_image(tmp_path / "x.png")


def test_the_rotation_mark_of_deep_images_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    image = cv2.imencode(".png", np.repeat(COUNTS[:, :, None], 3, 2))[1].tobytes()
    chunk = exif.tobytes().removeprefix(b"Exif\0\0")
    head, rest = image[:33], image[33:]  # signature and IHDR, then the pixels
    body = b"eXIf" + chunk
    crc = zlib.crc32(body).to_bytes(4, "big")
    (tmp_path / "x.png").write_bytes(head + len(chunk).to_bytes(4, "big") + body + crc + rest)
    assert np.array_equal(read_image(tmp_path / "x.png"), np.rot90(COUNTS, -1))


def test_floats_go_through_a_range_in_their_own_unit(tmp_path):
    celsius = np.linspace(25.0, 35.0, 48, dtype=np.float32).reshape(6, 8)
    Image.fromarray(celsius).save(tmp_path / "x.tif")
    image = read_image(tmp_path / "x.tif")
    assert image.dtype == np.float32
    wanted = np.clip((celsius - 26) / 8 * 255, 0, 255)
    assert np.abs(to_eight_bit(image, (26, 34), "x").astype(float) - wanted).max() <= 0.51
    with pytest.raises(DataError, match=r"x: infrared of floats needs .*ir_range.*25\.1\.\.34\.9"):
        to_eight_bit(image, None, "x")
    assert to_eight_bit(np.float32([[np.nan, 30]]), (20, 30), "x").tolist() == [[0, 255]]
    assert "no pixel is within" in outside(image, (290, 310))  # kelvin
    assert outside(image, (26, 34)) == ""


def test_folders_below_give_keys_and_systems_leave_nothing(tmp_path):
    for name in ("a/2.JPG", "a/10.png", "b/c/1.png", "__MACOSX/a/2.png", ".cache/1.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        (path.parent / f"._{path.name}").write_bytes(b"")
        (path.parent / "Thumbs.db").write_bytes(b"")
    assert list(list_images(tmp_path)) == ["a/2", "a/10", "b/c/1"]
    (tmp_path / "a" / "back").symlink_to(tmp_path)  # goes round
    assert list(list_images(tmp_path)) == ["a/2", "a/10", "b/c/1"]


def test_names_are_compared_in_the_composed_form(tmp_path):
    (tmp_path / f"{unicodedata.normalize('NFD', 'Größe')}.png").write_bytes(b"")
    assert list(list_images(tmp_path)) == ["Größe"]


def test_images_below_those_of_a_folder_are_said(tmp_path, caplog):
    (tmp_path / "old").mkdir()
    for name in ("1.png", "old/2.png"):
        (tmp_path / name).write_bytes(b"")
    assert list(list_images(tmp_path)) == ["1"]
    assert "1 images in folders below it are left out" in caplog.text
    with pytest.raises(DataError, match=r"1\.png: is a file; give the folder"):
        list_images(tmp_path / "1.png")
