"""`irvis bench CONFIG`: the parts of a configuration and possible changes are measured."""

import json

import pytest

from pipeline import cli
from pipeline.commands import _bench_run
from pipeline.commands._bench_run import Speed, changes, frame_size
from pipeline.config import config
from tests.helpers import toys


@pytest.fixture
def file(here):
    """A configuration whose source doesn't exist, and a video that names an arm."""
    settings = toys.settings(here / "nowhere")
    settings["sinks"]["film"] = {"kind": "video", "arms": ["fused"]}
    (here / "toy.yaml").write_text(json.dumps(settings))
    return here / "toy.yaml"


def test_arms_stages_and_changes_are_printed(file, capsys, monkeypatch):
    measured = []

    def measure(checked, size):
        measured.append((list(checked.arms), checked.compute.batch, size))
        slow = 30.0 if "fused" in checked.arms else 0.0
        arms = {name: {"fuse": 10.0 + slow * (name == "fused")} for name in checked.arms}
        return Speed(arms, sum(stages["fuse"] for stages in arms.values()))

    monkeypatch.setattr(_bench_run, "measure", measure)
    assert cli.main(["bench", "toy", "--frame", "96x128", "arms.late=null"]) == 0
    out = capsys.readouterr().out
    assert "96x128: 60 ms a pair, 16.67 pairs/s; most of it fuse fused, 67%" in out
    row = next(line for line in out.splitlines() if "arms.fused=null" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][1:] == [
        "20", "3.00x", "an arm less",
    ]  # fmt: skip
    assert measured[0] == (["fused", "ir", "vis"], 4, (96, 128))
    assert (["fused", "ir", "vis"], 8, (96, 128)) in measured


def test_a_configuration_is_really_measured(file):
    checked = config.load(file, ["sinks={}", "compute.batch=2"])
    speed = _bench_run.measure(checked, (48, 64))
    assert list(speed.arms) == ["fused", "ir", "vis", "late"]
    assert set(speed.arms["fused"]) == {"fuse", "detect"}
    assert set(speed.arms["late"]) == {"merge"}
    assert speed.total > 0.9 * sum(sum(stages.values()) for stages in speed.arms.values())


def test_an_image_that_two_arms_have_is_once_in_the_total(file):
    arms = "arms={a: {kind: laplacian}, b: {kind: laplacian}}"
    given = config.load(file, ["sinks={}", arms, "detector=null"])
    speed = _bench_run.measure(given, (480, 640))
    assert speed.arms["b"] == speed.arms["a"]
    assert speed.total < 1.8 * sum(speed.arms["a"].values())


def test_arms_that_others_need_are_kept(file):
    checked = config.load(file, ["sinks={}"])
    now = Speed({name: {"fuse": 1.0} for name in checked.arms}, len(checked.arms))
    removed = [change for change, _ in changes(checked, now) if change[0].endswith("=null")]
    assert removed == [["arms.fused=null"], ["arms.late=null"]]


@pytest.mark.parametrize("text", ["480", "480x", "axb", "0x5", "5x9000", "1x2x3", "-1x5"])
def test_wrong_sizes_are_refused(text, file, capsys):
    assert cli.main(["bench", "toy", f"--frame={text}"]) == 2
    assert "--frame" in capsys.readouterr().err


def test_sizes_are_height_and_width():
    assert frame_size("480x640") == (480, 640)


def test_ready_made_images_can_t_be_measured(file, capsys):
    overrides = ["arms.theirs.kind=folder", "arms.theirs.root=x"]
    assert cli.main(["bench", "toy", *overrides]) == 2
    assert "leave it out with arms.theirs=null" in capsys.readouterr().err


def test_overrides_alone_are_of_the_default_configuration(monkeypatch, here):
    asked = []
    monkeypatch.setattr(_bench_run, "print_report", lambda *given: asked.append(given))
    assert cli.main(["bench", "compute.batch=8", "--frame", "48x64"]) == 0
    assert asked == [(config.DEFAULT, ["compute.batch=8"], (48, 64))]
