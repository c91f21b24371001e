import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from pipeline.images import read_image, to_eight_bit, to_grey, to_rgb, write_png

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
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="pixel format F"):
        read_image(tmp_path / "x.tif")


def test_png_round_trip_and_channels(tmp_path):
    write_png(tmp_path / "x.png", COLOUR)
    assert np.array_equal(read_image(tmp_path / "x.png"), COLOUR)
    assert np.array_equal(to_rgb(GREY)[:, :, 1], GREY)
    assert to_rgb(COLOUR) is COLOUR
    assert to_grey(np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])).tolist() == [[76, 150, 29]]
