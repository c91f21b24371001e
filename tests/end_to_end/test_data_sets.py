"""Runs of data sets as they are downloaded: what stands in their results."""

import pytest
from PIL import Image

from tests.helpers import layouts, toys
from tests.helpers.runs import execute, read_json


def results_of(root, folder, **source):
    settings = toys.settings(root)
    settings["source"] = {"kind": "dataset", "root": str(root), **source}
    settings["run"] = {"dir": str(folder)}
    settings["arms"] = {"ir": {"kind": "ir_only"}, "vis": {"kind": "vis_only"}}
    return read_json(execute(settings).folder / "results.json")


def draw(path, box):
    """What the toy detector finds: a bright box."""
    with Image.open(path) as file:
        image = file.convert("L")
    image.paste(90, (0, 0, *image.size))
    image.paste(250, box)
    image.save(path)


@pytest.fixture(scope="module")
def kaist(tmp_path_factory):
    """Of three frames the first two show a person that counts, the third one that is too small."""
    root = layouts.kaist(tmp_path_factory.mktemp("kaist"))
    person, small = (100, 100, 130, 160), (300, 100, 325, 154)
    frames = (("set06/V001", 19, person), ("set06/V001", 39, person), ("set09/V000", 59, small))
    for folder, frame, box in frames:
        draw(root / "images" / folder / "lwir" / f"I{frame:05d}.png", box)
    return root


def test_the_miss_rate_of_the_reasonable_subset(kaist, tmp_path):
    """Two of the two persons of each frame by day are found in part: 2 of 4; none at night."""
    results = results_of(kaist, tmp_path / "run")
    rate = results["arms"]["ir"]["detection"]["reasonable_miss_rate"]["person"]
    assert rate == {
        "all": pytest.approx(4 / 6), "day": pytest.approx(2 / 4), "night": pytest.approx(1)
    }  # fmt: skip
    assert results["protocol"]["subset"] == "reasonable"
    assert results["objects"]["scored"] == 6


def test_it_is_in_no_other_results(kaist, tmp_path):
    results = results_of(kaist, tmp_path / "run", subset="all")
    assert "reasonable_miss_rate" not in results["arms"]["ir"]["detection"]
    assert "subset" not in results["protocol"]
    assert results["objects"]["scored"] == 15


def test_an_object_in_the_border_alone_is_counted_as_left_out(tmp_path):
    results = results_of(layouts.dronevehicle(tmp_path / "set"), tmp_path / "run", own_labels=True)
    assert results["frames"]["paired"] == 2
    assert results["objects"] == {"scored": 4, "labelled": 6}
    assert results["own_labels"]["vis"]["arms"] == ["vis"]
