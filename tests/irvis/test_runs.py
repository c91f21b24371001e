"""Running, opening and comparing runs from Python."""

import json

import pandas as pd
import pytest

import irvis
from irvis.scores import differences
from tests.helpers import toys
from tests.helpers.runs import read_csv, read_json


@pytest.fixture(scope="module")
def opened(toy_run):
    return irvis.open(toy_run.folder)


def settings(root, **more):
    return {**toys.settings(root), **more}


def test_the_table_has_the_numbers_of_results_csv(opened, toy_run):
    rows = [row for row in read_csv(toy_run.folder / "results.csv") if row["class"] == "all"]
    table = opened.table
    assert table.index.tolist() == [row["arm"] for row in rows] == opened.arms
    for row in rows:
        for name in set(row) - {"arm", "class", "fingerprint"}:
            shown = table.loc[row["arm"], name]
            assert float(row[name]) == shown if row[name] else pd.isna(shown), name
    assert set(table.columns) == set(rows[0]) - {"arm", "class", "fingerprint"}


def test_a_comparison_has_differences_intervals_and_verdicts(opened):
    entry = opened.results["comparisons"]["fused"]["vis"]
    table = opened.compare("fused", "vis")
    assert table.index.tolist() == ["precision", "recall", "map50", "map50_95"]
    scores = opened.table
    for name, row in table.iterrows():
        assert row["difference"] == pytest.approx(
            scores.loc["fused", name] - scores.loc["vis", name]
        )
        assert [row["low"], row["high"]] == entry[name]["ci95"]
        assert row["verdict"] == entry[name]["verdict"]


def test_a_comparison_without_an_interval_has_nan():
    part = {"difference": 0.5, "ci95": None, "verdict": None}
    table = differences(dict.fromkeys(("precision", "recall", "map50", "map50_95"), part))
    assert table["low"].isna().all()
    assert table["difference"].tolist() == [0.5] * 4


def test_unknown_arms_are_refused_with_the_choices(opened):
    with pytest.raises(irvis.ConfigError, match="did you mean 'fused'"):
        opened.compare("fusd", "vis")
    with pytest.raises(irvis.ConfigError, match="no arm 'x'; choose from"):
        opened.detections("x")
    with pytest.raises(irvis.ConfigError, match="are not compared"):
        opened.compare("vis", "vis")


def test_detections_and_ground_truth_are_those_of_the_files(opened, toy_run):
    truth = read_json(toy_run.folder / "ground_truth.json")
    keys = {image["id"]: image["key"] for image in truth["images"]}
    names = {entry["id"]: entry["name"] for entry in truth["categories"]}
    labels = opened.ground_truth
    assert len(labels) == len(truth["annotations"]) == 6
    assert not labels["ignore"].any()
    written = read_json(toy_run.folder / "predictions" / "ir.json")
    found = opened.detections("ir")
    assert len(found) == len(written) == 6
    for table, entries in ((labels, truth["annotations"]), (found, written)):
        for row, entry in zip(table.to_dict("records"), entries, strict=True):
            x, y, w, h = entry["bbox"]
            assert (row["key"], row["class_name"]) == (
                keys[entry["image_id"]],
                names[entry["category_id"]],
            )
            assert [row[n] for n in ("left", "top", "right", "bottom")] == [x, y, x + w, y + h]
    assert found["score"].tolist() == [entry["score"] for entry in written]


def test_attribution_counts_every_object_in_each_setting(opened):
    table = opened.attribution
    assert table.index.names == ["arm", "at", "group"]
    every = table.xs("all", level="group")
    assert (every.sum(axis=1) == 6).all()
    counts = opened.results["attribution"]["fused"]["confidence"]["counts"]["all"]
    assert table.loc[("fused", "confidence", "all")].to_dict() == counts


def test_a_notebook_shows_the_verdict_and_escapes_names(opened):
    page = opened._repr_html_()
    assert opened.headline() in page
    assert "mAP@.5:.95" in page
    hostile = irvis.Scores(json.loads(json.dumps(opened.results).replace('"fused"', '"<b>x"')))
    hostile.results["warnings"].append("<script>")
    assert "<b>x" not in hostile._repr_html_()
    assert "<script>" not in hostile._repr_html_()


def test_times_have_a_row_an_arm(opened, toy_run):
    times = read_json(toy_run.folder / "timing.json")["arms_ms_per_pair"]
    assert opened.times.index.tolist() == list(times)
    assert opened.times.loc["fused", "detect"] == times["fused"]["detect"]


def test_runs_of_settings_files_and_names_give_the_same_numbers(pairs, here):
    plain = settings(pairs)
    (here / "toy.yaml").write_text(json.dumps(plain))
    by_file = irvis.run("toy.yaml", {"run.dir": here / "a"}, progress=False)
    by_name = irvis.run("toy", [f"run.dir={here / 'b'}"], progress=False)
    by_settings = irvis.run(plain, {"run.dir": here / "c"}, progress=False)
    assert by_file.results == by_name.results == by_settings.results
    assert by_file.folder == here / "a"
    assert plain == settings(pairs)  # the caller's own are unchanged


def test_overrides_by_key_take_python_values(pairs, here):
    given = {"arms.lap": {"kind": "laplacian"}, "arms.late": None, "source.root": pairs}
    run = irvis.run(settings(here / "elsewhere"), given, progress=False)
    assert "late" not in run.arms
    assert "lap" in run.arms
    assert run.results["frames"]["paired"] == 6


def test_another_kind_clears_its_section_whatever_the_order(pairs, here):
    given = {"arms.fused.levels": 2, "arms.fused.kind": "laplacian"}
    run = irvis.run(settings(pairs), given, progress=False)
    assert run.results["protocol"]["arms"]["fused"]["levels"] == 2


@pytest.mark.parametrize("key", ["", "arms.", ".x"])
def test_a_key_that_is_none_is_refused(pairs, key):
    with pytest.raises(irvis.ConfigError, match=r"write dotted\.key=value"):
        irvis.run(settings(pairs), {key: 1})


def test_a_run_that_leaves_no_results_is_refused_at_once(pairs, here):
    with pytest.raises(irvis.ConfigError, match=r"sinks\.results\.kind=results"):
        irvis.run(settings(pairs, sinks={}))
    assert not (here / "runs").exists()


def test_a_folder_that_is_no_run_is_refused(here):
    with pytest.raises(irvis.DataError, match="no run folder"):
        irvis.open(here)


def test_two_runs_are_compared_arm_by_arm(pairs, here):
    first = irvis.run(settings(pairs), {"run.name": "one"}, progress=False)
    second = irvis.run(settings(pairs), {"run.name": "two"}, progress=False)
    table = irvis.compare(first, second.folder)
    assert table.index.names == ["arm", "run", "less", "statistic"]
    assert table.loc[("fused", "two", "one", "map50"), "difference"] == 0
    with pytest.raises(irvis.ConfigError, match="needs two runs"):
        irvis.compare(first)


def test_quality_is_a_table_of_each_image(pairs, here):
    run = irvis.run(settings(pairs), {"evaluation.quality": True}, progress=False)
    table = run.quality
    assert table.index.names == ["arm", "key"]
    means = run.results["arms"]["fused"]["quality"]
    assert table.loc["fused", "en"].mean() == pytest.approx(means["en"])
    without = irvis.run(settings(pairs), progress=False)
    with pytest.raises(irvis.DataError, match=r"evaluation\.quality=true"):
        _ = without.quality


def test_a_run_without_a_detector_has_no_scores_but_opens(pairs, here):
    run = irvis.run(settings(pairs), {"detector": None, "arms.late": None}, progress=False)
    assert run.table.empty
    assert run.attribution.empty
    assert "no detector ran" in run.headline()
    with pytest.raises(irvis.DataError, match="without a detector"):
        run.detections("ir")
