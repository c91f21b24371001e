"""What is no run folder, and `results.json` of other versions or edited by hand."""

import json
import shutil

import pytest

from common.errors import DataError
from pipeline.run_folder.results_file import read_results


@pytest.fixture
def made(toy_run):
    return toy_run.folder


def put(value, *keys):
    """A change that puts a value under nested keys, or takes away what is there."""

    def change(data):
        for key in keys[:-1]:
            data = data[key]
        if value is ...:
            del data[keys[-1]]
        else:
            data[keys[-1]] = value

    return change


YOLO = ("arms", "ir", "detection", "yolo")
CI95 = ("arms", "ir", "detection", "ci95")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(2, "schema"), 'lacks "schema": 1; run it'),
        (put(..., "schema"), 'lacks "schema": 1'),
        (put(..., "attribution"), "has no attribution; .*another irvis: run it again"),
        (put(..., *YOLO, "map50"), r"has no arms\.ir\.detection\.yolo\.map50; it was edited"),
        (put(..., *CI95), r"has no arms\.ir\.detection\.ci95;"),
        (put(..., "arms", "ir", "detection"), r"has no arms\.ir\.detection;"),
        (put(..., "protocol", "versions"), r"has no protocol\.versions;"),
        (
            put("low", "protocol", "detector", "conf"),
            r"detector\.conf: Input should be a valid number;",
        ),
        (put("0.5", *YOLO, "map50"), r"yolo\.map50: Input should be a valid number; it was"),
        (put([0.5], *CI95, "map50"), r"ci95\.map50: List should have at least 2 items"),
        (put([], "arms"), r": arms: Input should be a valid dictionary; it was edited"),
        (put(None, "protocol"), ": protocol: Input should be a valid dictionary; it was"),
        (put("few", "warnings"), ": warnings: Input should be a valid list;"),
        (put("all", "frames", "paired"), r"frames\.paired: Input should be a valid integer;"),
    ],
)
def test_other_results(made, here, change, message):
    data = json.loads((made / "results.json").read_text())
    change(data)
    (here / "results.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=rf"results\.json.*{message}") as raised:
        read_results(here)
    assert "\n" not in str(raised.value)


def test_no_run_folder(made, here, monkeypatch):
    def refused(folder, message):
        with pytest.raises(DataError, match=message) as raised:
            read_results(folder)
        assert "\n" not in str(raised.value)

    refused(here / "nowhere", "nowhere: is no run folder: it has no results.json; give")
    refused(here, "is no run folder")
    refused(made / "results.json", "is no run folder")
    shutil.copytree(made, here / "x.partial")
    unfinished = r"x\.partial: the run isn't finished; continue it with run\.resume=true"
    refused(here / "x.partial", unfinished)
    refused(here / "x", unfinished)
    (here / "results.json").write_text("{")
    refused(here, r"results\.json:1: not JSON")
    (here / "results.json").write_text("[]")
    refused(here, r'lacks "schema": 1')
    monkeypatch.chdir(made)
    assert read_results(made.relative_to(made))["schema"] == 1  # the folder "."
    monkeypatch.chdir(here / "x.partial")
    refused(made.relative_to(made), "the run isn't finished")
