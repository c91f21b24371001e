"""Runs with parts missing, and files that were edited."""

import json

import pytest

from common.errors import DataError
from eval.report.tables import sections
from pipeline.commands.show import print_report
from pipeline.run_folder.results_file import read_results
from tests.helpers import toys
from tests.helpers.runs import run_in
from tests.pipeline.commands.show.section_tables import rows, tables


def test_without_labels(here, capsys):
    root = toys.write_pairs(here / "pairs", labels=False)
    made = run_in(here / "run", root, evaluation={"quality": True})
    assert list(tables(read_results(made))) == ["quality"]
    print_report(made)
    text = capsys.readouterr().out
    assert "The source has no labels: no scores.\n" in text
    assert "ms/pair" in text
    (made / "timing.json").unlink()
    print_report(made)
    assert "ms/pair" not in capsys.readouterr().out


def test_without_detector(here, pairs, capsys):
    arms = {"fused": {"kind": "maximum"}}
    made = run_in(here / "run", pairs, arms=arms, detector=None)
    assert list(sections(read_results(made))) == []
    print_report(made)
    assert "The run had no detector: no scores.\n" in capsys.readouterr().out


def test_without_baselines_and_quality(here, pairs):
    made = run_in(here / "run", pairs, arms={"a": {"kind": "maximum"}, "b": {"kind": "average"}})
    found = tables(read_results(made))
    assert list(found) == ["scores", "sizes", "points", "errors", "confusion"]
    assert {row[0] for row in found["confusion"].rows} == {"a"}


def test_nothing_labelled(here, pairs, capsys):
    for path in (pairs / "labels").iterdir():
        path.write_text("")
    made = run_in(here / "run", pairs)
    found = tables(read_results(made))
    assert rows(found["scores"])["all", "vis"] == ["6", "0", *6 * ["–"]]
    print_report(made)
    assert "6 of 6 pairs; fingerprint" in capsys.readouterr().out


def without(*keys):
    """A change that removes what is under nested keys."""

    def change(data):
        for key in keys[:-1]:
            data = data[key]
        del data[keys[-1]]

    return change


def into(value, *keys):
    """A change that puts a value under nested keys."""

    def change(data):
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return change


FUSED = ("arms", "fused", "detection")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without(*FUSED, "errors"), "has no errors"),
        (without(*FUSED, "light", "day", "map50"), "has no map50"),
        (without("arms", "ir", "detection", "yolo", "per_class", "person"), "has no person"),
        (without(*FUSED, "coco", "map_small"), "has no map_small"),
        (without("comparisons", "fused", "ir"), "has no ir"),
        (without("attribution", "fused", "confidence", "counts"), "has no counts"),
        (without("arms", "fused", "quality", "en"), "has no en"),
        (into("0.5", *FUSED, "errors", "ap"), "holds something else than irvis writes .*'str'"),
        (into(None, *FUSED, "operating_points"), "holds something else .*'NoneType'"),
        (
            into([[1, 2], [3]], *FUSED, "confusion", "matrix"),
            "holds something else .*inhomogeneous",
        ),
        (into([], *FUSED, "confusion", "matrix"), "holds something else"),
        (
            into(0.1, "comparisons", "fused", "vis", "map50", "ci95"),
            "holds something else .*'float'",
        ),
        (into(3, "quality_correlation", "fused"), "holds something else .*'int'"),
    ],
)
def test_edited_by_hand(made, here, capsys, change, message):
    """One line, and no half of the tables before it."""
    data = json.loads((made / "results.json").read_text())
    change(data)
    (here / "results.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=rf"results\.json: {message}.*run it again$") as raised:
        print_report(here)
    assert "\n" not in str(raised.value)
    assert capsys.readouterr().out == ""


def test_edited_times(here, capsys):
    root = toys.write_pairs(here / "pairs", labels=False)
    made = run_in(here / "run", root)
    (made / "timing.json").write_text("{}")
    with pytest.raises(DataError, match=r"timing\.json: has no wall_s"):
        print_report(made)
    assert capsys.readouterr().out == ""
