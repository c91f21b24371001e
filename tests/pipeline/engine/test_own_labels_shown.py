"""What is said of runs whose arms are scored on the labels of their own camera."""

import json

import pytest

import irvis
from common.errors import ConfigError, DataError
from pipeline.commands import compare, run, show
from pipeline.commands.report import report
from tests.helpers import misaligned
from tests.helpers.misaligned import labelled, own, settings
from tests.helpers.runs import execute, read_json

WITH_PAGE = {"results": {"kind": "results"}, "page": {"kind": "report"}}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    misaligned.write(tmp_path)
    return tmp_path


def test_whose_labels_is_said(data, capsys):
    outcome = execute({**own("run"), "sinks": WITH_PAGE})
    execute(own("other"))
    lines = (
        "ir: scored on the labels of infrared alone, 7 of 7 objects",
        "vis: scored on the labels of visible alone, 7 of 7 objects",
        "fused, late: scored on the pair's labels; there are no outcomes of single objects, which "
        "need one set of labels",
    )
    run.print_report(outcome)
    show.print_report(outcome.folder)
    printed = capsys.readouterr().out
    page = (outcome.folder / "report.html").read_text()
    several = report([data / "run", data / "other"], data / "both.html").read_text()
    notebook = irvis.open(outcome.folder)._repr_html_()
    notes = compare.compare([data / "run", data / "other"])["notes"]
    for line in lines:
        assert printed.count(f"Note: {line}") == 2
        assert line in notes
        assert f"Note: {line}".replace("'", "&#x27;") in notebook
        assert line.replace("'", "&#39;") in page
        assert line.replace("'", "&#39;") in several
    assert "Outcomes need one set of labels" in page
    assert "Outcomes of labelled objects," not in printed
    moment = read_json(outcome.folder / "gallery/moment-000000.json")
    assert moment["truths"] == {
        camera: [[x, y, x + w, y + h, "person"]]
        for camera in ("ir", "vis")
        for x, y, w, h in labelled(camera, 0)
    }


def test_runs_are_compared_on_the_labels_of_each_arm(data):
    execute(own("one"))
    execute({**own("two"), "perturb": {"ir_blur": 3}})
    entries = compare.compare([data / "one", data / "two"])["differences"]
    results = [read_json(data / name / "results.json") for name in ("one", "two")]
    for entry in entries:
        first, second = (r["arms"][entry["arm"]]["detection"]["yolo"]["map50"] for r in results)
        assert entry["map50"]["difference"] == second - first
    assert [entry["arm"] for entry in entries] == ["fused", "ir", "vis", "late"]
    execute(settings("three"))
    with pytest.raises(ConfigError, match=r"own_labels is absent in .*three"):
        compare.compare([data / "one", data / "three"])
    exchanged = own("four")
    exchanged["arms"]["ir"] = {"kind": "average"}
    execute(exchanged)
    with pytest.raises(
        ConfigError, match=r"arm ir is scored on the pair's labels in .*four, but on ir's own in"
    ):
        compare.compare([data / "one", data / "four"])
    edited = read_json(data / "four/results.json")
    edited["own_labels"]["depth"] = edited["own_labels"].pop("ir")
    (data / "four/results.json").write_text(json.dumps(edited))
    with pytest.raises(DataError, match=r"four/results\.json: own_labels\.depth.*; it was edited"):
        compare.compare([data / "one", data / "four"])
    del edited["own_labels"]
    (data / "four/results.json").write_text(json.dumps(edited))
    with pytest.raises(DataError, match=r"four.*own_labels are of other cameras"):
        compare.compare([data / "one", data / "four"])
    (data / "two/ground_truth_ir.json").unlink()
    with pytest.raises(DataError, match=r"ground_truth_ir\.json is missing"):
        compare.compare([data / "one", data / "two"])


def test_an_arm_whose_labels_are_empty_takes_nothing_from_the_others(data):
    for path in (data / "labels_ir").iterdir():
        path.write_text("")
    results = execute({**own("run"), "sinks": WITH_PAGE, "evaluation": {"quality": True}}).results
    assert results["arms"]["ir"]["detection"]["yolo"]["map50"] is None
    assert results["comparisons"].keys() == {"fused", "vis", "late"}
    assert results["arms"]["vis"]["detection"]["ci95"]["map50"] is not None
    text = "ir: no object of the classes that count is labelled: no score is defined"
    assert text in results["warnings"]
    assert not any("class by class" in warning for warning in results["warnings"])
    show.print_report(data / "run")


def test_classes_of_one_camera_alone_are_warned_of(data):
    with (data / "labels_ir/2.txt").open("a") as file:
        file.write("2 0.5 0.5 0.2 0.2\n")
    results = execute({**own("run"), "sinks": WITH_PAGE}).results
    (text,) = (text for text in results["warnings"] if "class by class" in text and "vis" in text)
    assert text.startswith("the labels of vis have no car, those of other arms have")
    assert results["arms"]["ir"]["detection"]["yolo"]["per_class"].keys() == {"person", "car"}
    show.print_report(data / "run")
