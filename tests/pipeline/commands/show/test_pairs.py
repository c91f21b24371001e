"""`irvis show --pair`, `--worst` and `--rescued`: which pairs, and what their pictures show."""

import numpy as np
import pytest
from PIL import Image

import irvis
from pipeline import cli
from pipeline.commands._single_pairs import FOUND, MISSED, TITLE
from tests.helpers import toys
from tests.helpers.runs import execute

HEIGHT, WIDTH = 2 * toys.HEIGHT, 2 * toys.WIDTH  # of a panel: small images are enlarged


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose visible arm misses every other object; nothing but infrared is dark in pair 4."""
    root = tmp_path_factory.mktemp("pairs")
    toys.write_pairs(root)
    for number in (4, 5):
        path = root / "ir" / f"00{number}.png"
        image = np.asarray(Image.open(path)).copy()
        Image.fromarray(np.minimum(image, 60)).save(path)  # infrared shows nothing
    return execute({**toys.settings(root), "run": {"dir": str(root / "run")}}).folder


def panel(picture, number):
    """An arm's image in a picture of three columns."""
    row, column = divmod(number, 3)
    top = row * (HEIGHT + TITLE) + TITLE
    return picture[top : top + HEIGHT, column * WIDTH : (column + 1) * WIDTH]


def test_the_worst_pairs_are_listed_and_drawn(folder, here, capsys):
    assert cli.main(["show", str(folder), "--worst", "3", "-o", "seen"]) == 0
    out = capsys.readouterr().out
    assert "Most errors of fused" in out
    # only in pair 5 neither modality shows the object
    assert [path.name for path in (here / "seen").iterdir()] == ["005.png"]
    (row,) = [line for line in out.splitlines() if "005 " in line and "│" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["005", "1", "1", "0", "0", "0"]


def test_a_picture_shows_every_arm_with_what_it_finds(folder):
    picture = irvis.open(folder).pair("001")
    assert picture.shape == (HEIGHT + TITLE, 3 * WIDTH, 3)  # ir, vis, fused
    colours = [{tuple(pixel) for pixel in panel(picture, i).reshape(-1, 3)} for i in range(3)]
    assert [FOUND in colour for colour in colours] == [True, False, True]
    assert [MISSED in colour for colour in colours] == [False, True, False]


def test_labels_are_drawn_where_they_are(folder):
    vis = panel(irvis.open(folder).pair("001"), 1)
    red = np.argwhere((vis == MISSED).all(axis=2))
    x, y, width, height = 9, 11, 12, 20  # as toys.write_pairs draws the object of pair 1
    assert red.min(axis=0).tolist() == [2 * y - 2, 2 * x - 2]
    assert red.max(axis=0).tolist() == [2 * (y + height) + 2, 2 * (x + width) + 2]


def test_rescued_objects_need_an_arm_that_finds_more(folder, here, capsys):
    assert cli.main(["show", str(folder), "--rescued", "2"]) == 0
    assert "Nothing is rescued." in capsys.readouterr().out
    assert irvis.open(folder).rescued().empty


def test_pictures_go_into_the_run_folder_by_default(folder, capsys):
    assert cli.main(["show", str(folder), "--pair", "000", "--pair", "002"]) == 0
    written = sorted(path.name for path in (folder / "pairs").iterdir())
    assert written == ["000.png", "002.png"]
    drawn = np.asarray(Image.open(folder / "pairs" / "002.png"))
    assert np.array_equal(drawn, irvis.open(folder).pair("002"))


def test_the_api_lists_the_same_rows(folder):
    table = irvis.open(folder).worst(2)
    assert table.index.tolist() == ["005"]
    assert table.loc["005"].to_dict() == {
        "objects": 1, "missed": 1, "false": 0, "rescued": 0, "lost": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--pair", "7"], "has no pair '7'"),
        (["--worst", "0"], "give a number of pairs from 1"),
        (["--rescued", "-1"], "give a number of pairs from 1"),
    ],
)
def test_wrong_choices_are_refused(folder, options, what, capsys):
    assert cli.main(["show", str(folder), *options]) == 2
    assert what in capsys.readouterr().err


def test_what_a_run_lacks_is_said(here, capsys):
    root = toys.write_pairs(here / "pairs", 2, labels=False)
    execute({**toys.settings(root), "run": {"dir": str(here / "bare")}})
    assert cli.main(["show", "bare", "--worst", "1"]) == 2
    assert "has no labels" in capsys.readouterr().err
    assert cli.main(["show", "bare", "--pair", "001"]) == 0
    none = {**toys.settings(root), "detector": None, "run": {"dir": str(here / "none")}}
    del none["arms"]["late"]
    execute(none)
    assert cli.main(["show", "none", "--pair", "001"]) == 2
    assert "had no detector" in capsys.readouterr().err


def test_images_that_are_gone_are_named(here, capsys):
    root = toys.write_pairs(here / "pairs", 2)
    execute({**toys.settings(root), "run": {"dir": str(here / "run")}})
    (root / "vi").rename(root / "elsewhere")
    assert cli.main(["show", "run", "--pair", "001"]) == 2
    assert "has no folder vi/" in capsys.readouterr().err


def test_labels_that_only_the_detector_has_a_class_for_are_no_obstacle(here, monkeypatch):
    monkeypatch.setattr(toys.BrightBox, "names", {0: "person", 1: "Lamp"})
    root = toys.write_pairs(here / "pairs", 2)
    settings = {**toys.settings(root), "run": {"dir": str(here / "run")}}
    settings["source"]["class_map"] = {"0": "Lamp"}
    execute(settings)
    assert irvis.open("run").pair("001").shape == (HEIGHT + TITLE, 3 * WIDTH, 3)
