"""`irvis inspect`: it says what a test wrote."""

import numpy as np
import pytest
from PIL import Image

from pipeline import cli
from tests.helpers import bags, layouts, toys, videos
from tests.helpers.textures import textures


def said(capsys, *arguments):
    """The lines by their first words."""
    assert cli.main(["inspect", *map(str, arguments)]) == 0
    out = capsys.readouterr().out
    return {line[:15].strip(): line[15:] for line in out.splitlines() if line[:15].strip()}


def test_a_folder_of_pairs(here, capsys):
    toys.write_pairs(here / "pairs")
    (here / "pairs" / "ir" / "005.png").unlink()
    (here / "pairs" / "labels" / "001.txt").write_text("")
    found = said(capsys, "pairs")
    assert found["pairs"] == "5, 1 visible without partner"
    assert found["infrared"] == "64x48, 8 bit grey"
    assert found["visible"] == "64x48, 8 bit colour"
    assert found["looked at"] == "5 pairs, evenly spaced"
    assert found["labels"] == "5 person; no object in 1 pair(s)"
    assert found["light"] == "3 day, 2 night by brightness, of those looked at"


def test_the_pairs_that_are_looked_at_are_evenly_spaced(here, capsys):
    toys.write_pairs(here / "pairs", 9, labels=False)
    for name in ("000", "004", "008"):
        Image.new("L", (32, 24)).save(here / "pairs" / "ir" / f"{name}.png")
    found = said(capsys, "pairs", "--pairs", 3)
    assert found["infrared"] == "32x24, 8 bit grey"
    assert found["labels"] == "none"
    assert found["misalignment"] == "not measured: the cameras' sizes differ: irvis calibrate"


def test_a_known_shift(here, capsys):
    """The infrared picture shows everything 3 pixels further right and 2 higher."""
    homography = np.array([[1, 0, -3], [0, 1, 2], [0, 0, 1]], float)
    for camera in ("ir", "vis"):
        (here / camera).mkdir()
    for index, (ir, vis) in enumerate(textures(homography, 4)):
        Image.fromarray(ir).save(here / "ir" / f"{index}.png")
        Image.fromarray(vis).convert("RGB").save(here / "vis" / f"{index}.png")
    found = said(capsys, "ir", "vis")
    assert found["visible"] == "260x200, 8 bit grey in 3 channels"
    assert found["light"] == "4 day, 0 night by brightness, of those looked at"
    words = found["misalignment"].split()
    assert words[0] == "median"
    assert float(words[1]) == pytest.approx(13**0.5, abs=0.3)
    assert float(words[8]) == pytest.approx(3, abs=0.3)
    assert float(words[10]) == pytest.approx(-2, abs=0.3)
    assert found["misalignment"].endswith("4 of 4 pairs tell")


def test_infrared_of_16_bit_and_several_sizes(here, capsys):
    toys.write_pairs(here / "pairs", 3, labels=False)
    deep = np.linspace(1000, 2000, 48 * 64).reshape(48, 64).astype(np.uint16)
    for name in ("000", "001"):
        Image.fromarray(deep).save(here / "pairs" / "ir" / f"{name}.png")
    found = said(capsys, "pairs")
    assert found["infrared"] == "2 of 64x48, 16 bit grey; 1 of 64x48, 8 bit grey"


def test_a_data_set(here, capsys):
    found = said(capsys, layouts.m3fd(here / "set", listed=False))
    assert found["data set"] == "M3FD"
    assert found["pairs"] == "3"
    assert found["labels"] == "3 person, 3 motorcycle; not counted: 3 Lamp; no object in 0 pair(s)"


def test_day_and_night_by_name(here, capsys):
    found = said(capsys, layouts.split_folders(here / "set", "Infrared", "Visible", "labels"))
    assert found["light"] == "1 day, 1 night by name"
    found = said(capsys, layouts.kaist(here / "kaist"))
    assert found["light"] == "2 day, 1 night by name"
    assert found["infrared"] == "640x512, 8 bit grey"


def test_two_recordings_with_gaps(here, capsys):
    times = [*range(0, 1000, 100), *range(1500, 2000, 100)]
    videos.write_video(here / "ir.mkv", times, 10, grey=True)
    videos.write_video(here / "vis.mkv", range(0, 2000, 50), 20)
    found = said(capsys, "ir.mkv", "vis.mkv")
    assert found["pairs"] == "15, 25 visible without partner"
    assert found["infrared"] == "64x48, 8 bit grey"
    assert found["infrared rate"] == (
        "10 frames per second, 15 frames in 1.9 s, 1 gap(s), the longest 0.6 s"
    )
    assert found["visible rate"] == "20 frames per second, 40 frames in 1.95 s, no gap"


def test_the_depth_of_a_recording_is_its_files(here, capsys):
    deep = np.random.default_rng(0).integers(3000, 9000, (6, 48, 64), np.uint16)
    videos.write_deep(here / "ir.mkv", deep)
    videos.write_video(here / "vis.mkv", range(0, 600, 100), 10)
    assert said(capsys, "ir.mkv", "vis.mkv")["infrared"] == "64x48, 16 bit grey"


def test_a_bag(here, capsys):
    bags.write_mcap(here / "drive.mcap", bags.drive(6))
    found = said(capsys, "drive.mcap")
    assert found["pairs"] == "6"
    assert found["infrared"] == "64x48, 16 bit grey"
    assert found["visible"] == "64x48, 8 bit colour"
    assert found["visible rate"] == "25 frames per second, 6 frames in 0.2 s, no gap"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nowhere"], "nowhere: no such folder"), (["pairs", "--pairs", "0"], "--pairs must be")],
)
def test_what_can_t_be_inspected(here, capsys, arguments, message):
    toys.write_pairs(here / "pairs", 1)
    assert cli.main(["inspect", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_image_is_said(here, capsys):
    toys.write_pairs(here / "pairs", 2)
    (here / "pairs" / "vi" / "001.png").write_bytes(b"no image")
    found = said(capsys, "pairs")
    assert found["damaged"].startswith("1, the first: ")
    assert "001.png: not an image that can be read" in found["damaged"]
