import csv
import json
from contextlib import contextmanager

import pytest
import yaml

from common.errors import ConfigError, DataError
from pipeline.commands import sweep
from pipeline.config import config
from pipeline.engine import runner
from tests.helpers import toys

NOISE = "perturb.ir_noise=0,60,90"


@pytest.fixture
def toy(pairs, here):
    """A configuration file for cheap runs."""
    path = here / "toy.yaml"
    path.write_text(yaml.safe_dump(toys.settings(pairs), sort_keys=False))
    return path


@contextmanager
def quiet(title):
    yield lambda done, total: None


def stop_in_run(number):
    """A progress that breaks off after the first batch of a run."""

    @contextmanager
    def progress(title):
        def show(done, total):
            if title.startswith(f"{number}/"):
                raise KeyboardInterrupt

        yield show

    return progress


def table(folder):
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_sweep_has_a_run_a_value_and_a_row_a_value_and_arm(toy):
    outcome = sweep.sweep(toy, [NOISE], quiet)
    assert str(outcome.folder) == "runs/toy-sweep"
    assert names(outcome.folder) == [
        "perturb.ir_noise=0", "perturb.ir_noise=60", "perturb.ir_noise=90", "sweep.csv",
    ]  # fmt: skip
    rows = table(outcome.folder)
    assert list(rows[0]) == [
        "perturb.ir_noise", "arm", "precision", "recall", "map50", "map50_low", "map50_high",
        "map50_95", "map50_95_low", "map50_95_high", "objects", "pairs",
        "fingerprint",
    ]  # fmt: skip
    assert [(row["perturb.ir_noise"], row["arm"]) for row in rows] == [
        (noise, arm) for noise in ("0", "60", "90") for arm in ("fused", "ir", "vis", "late")
    ]
    assert {(row["objects"], row["pairs"]) for row in rows} == {("6", "6")}
    scores = {(row["perturb.ir_noise"], row["arm"]): float(row["map50"]) for row in rows}
    assert scores["0", "ir"] == pytest.approx(0.995)
    assert scores["90", "ir"] < 0.5
    assert scores["90", "vis"] == scores["0", "vis"]


def test_the_numbers_are_those_of_single_runs(toy):
    rows = table(sweep.sweep(toy, [NOISE, "compute.batch=2"], quiet).folder)
    for noise in ("0", "60", "90"):
        overrides = [f"perturb.ir_noise={noise}", "compute.batch=2"]
        single = runner.run(config.load(toy, overrides), lambda done, total: None)
        with (single.folder / "results.csv").open(newline="") as file:
            expected = {row["arm"]: row for row in csv.DictReader(file) if row["class"] == "all"}
        ours = {row["arm"]: row for row in rows if row["perturb.ir_noise"] == noise}
        assert list(ours) == list(expected)
        for arm, row in ours.items():
            for name in ("precision", "recall", "map50", "map50_95"):
                assert row[name] == expected[arm][name]
        within = f"runs/toy-sweep/perturb.ir_noise={noise}/results.json"
        assert (toy.parent / within).read_bytes() == (single.folder / "results.json").read_bytes()


def test_several_keys_are_combined_and_the_last_changes_fastest(toy):
    overrides = ["arms.fused.kind=average,maximum", "perturb.shift=[0,0],[4,0]", "arms.late=null"]
    rows = table(sweep.sweep(toy, overrides, quiet).folder)
    seen = [(r["arms.fused.kind"], r["perturb.shift"]) for r in rows if r["arm"] == "ir"]
    assert seen == [
        ("average", "[0,0]"), ("average", "[4,0]"), ("maximum", "[0,0]"), ("maximum", "[4,0]"),
    ]  # fmt: skip
    assert {row["arm"] for row in rows} == {"fused", "ir", "vis"}


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("compute.batch=1,2", ["1", "2"]),
        ("compute.batch=1, 2", ["1", "2"]),
        ("perturb.shift=[0,0],[4,0],[8,0]", ["[0,0]", "[4,0]", "[8,0]"]),
        ("arms.fused={kind: average},{kind: maximum}", ["{kind: average}", "{kind: maximum}"]),
        ("arms.late.iou=0.50,5e-1", ["0.50", "5e-1"]),
        ("run.on_bad_pair=null,'skip'", ["null", "'skip'"]),
        ("arms.late.arms=[ir,vis],[vis,ir]", ["[ir,vis]", "[vis,ir]"]),
    ],
)
def test_values_are_those_of_yaml(toy, override, values):
    key = override.partition("=")[0]
    points = sweep.plan(toy, [override])
    assert [point.values[key] for point in points] == values
    # each is what the same override gives a single run
    for point, value in zip(points, values, strict=True):
        assert point.config.dump() == config.load(toy, [f"{key}={value}"]).dump()


@pytest.mark.parametrize("override", ["arms.late.arms=[ir,vis]", "perturb.ir_noise=", "detector="])
def test_one_value_is_no_sweep(toy, override):
    with pytest.raises(ConfigError, match=r"no key has several values.*use `irvis run`"):
        sweep.plan(toy, [override])


def test_names_are_safe_and_differ(toy):
    long = "/data/" + 200 * "x"
    points = sweep.plan(toy, [f"source.root=a/b,'a b',../ä,{long}1,{long}2"])
    found = [point.name for point in points]
    assert found[:3] == ["source.root=a_b", "source.root=a_b-2", "source.root=.."]
    assert [len(name) for name in found[3:]] == [100, 102]
    assert found[4] == f"{found[3]}-2"
    combined = sweep.plan(toy, ["perturb.shift=[0,0],[-4,0.5]", "compute.batch=1,2"])
    assert combined[3].name == "perturb.shift=-4,0.5+compute.batch=2"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["perturb.ir_noise=0,loud"], r"with perturb\.ir_noise=loud: perturb\.ir_noise: .*'loud'"),
        (["perturb.ir_nose=0,1"], r"unknown key perturb\.ir_nose; did you mean 'ir_noise'"),
        (["perturb.ir_noise=0,0"], r"perturb\.ir_noise=0 stands twice"),
        ([NOISE, "perturb.ir_noise=5"], r"perturb\.ir_noise stands twice"),
        (["run.name=a,b"], r"run\.name: belongs to the whole sweep"),
        (["detector=null,{kind: tests.helpers.toys}"], "with detector=null: detector: there is"),
        ([NOISE, "sinks.results=null"], "sinks: none writes the scores"),
        ([NOISE, "batch"], "'batch' is not an override"),
        ([NOISE, "compute.batch=[1"], "is not a YAML value"),
        ([], "no key has several values"),
        ([NOISE, "run.resume=true"], r"run\.resume: there is no sweep runs/toy-sweep"),
        ([NOISE, "run.resume=true", "run.dir=out"], r"run\.resume: there is no sweep in out"),
        ([NOISE, "run.dir=pairs"], r"run\.dir: pairs is in use"),
    ],
)
def test_a_mistake_is_found_before_anything_is_made(toy, here, overrides, message):
    before = names(here)
    with pytest.raises(ConfigError, match=message) as error:
        sweep.sweep(toy, overrides, quiet)
    assert "\n" not in str(error.value)
    assert names(here) == before


def test_a_run_that_cannot_begin_names_its_value_and_leaves_no_folder(toy, here):
    with pytest.raises(DataError, match=r"with source\.root=nowhere: .*nowhere is no folder"):
        sweep.sweep(toy, ["source.root=nowhere,pairs"], quiet)
    assert list((here / "runs").iterdir()) == []


def test_without_labels_there_is_nothing_to_compare(here):
    root = toys.write_pairs(here / "pairs", labels=False)
    (here / "toy.yaml").write_text(yaml.safe_dump(toys.settings(root), sort_keys=False))
    with pytest.raises(DataError, match=r"no labels.*the first run is in runs/toy-sweep/pert"):
        sweep.sweep(here / "toy.yaml", [NOISE], quiet)
    assert names(here / "runs/toy-sweep") == ["perturb.ir_noise=0"]


def test_a_second_sweep_has_a_folder_of_its_own(toy, here):
    assert str(sweep.sweep(toy, [NOISE], quiet).folder) == "runs/toy-sweep"
    assert str(sweep.sweep(toy, [NOISE], quiet).folder) == "runs/toy-sweep-2"
    assert str(sweep.sweep(toy, [NOISE, "run.dir=out"], quiet).folder) == "out"
    assert names(here / "out") == names(here / "runs/toy-sweep")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_resumed_sweep_ends_as_an_unbroken_one(toy, here, number, monkeypatch):
    whole = sweep.sweep(toy, [NOISE, "run.dir=whole"], quiet).folder
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(toy, [NOISE], stop_in_run(number))
    folder = here / "runs/toy-sweep"
    assert f"perturb.ir_noise={(0, 60, 90)[number - 1]}.partial" in names(folder)
    if number > 1:  # what was finished is in the table
        assert table(folder) == table(whole)[: 4 * (number - 1)]
    begun = []
    run = runner.run
    monkeypatch.setattr(runner, "run", lambda c, show: begun.append(c.run.resume) or run(c, show))
    resumed = sweep.sweep(toy, [NOISE, "run.resume=true"], quiet)
    assert begun == [True] + [False] * (3 - number)  # whole runs are not run again
    assert resumed.folder.resolve() == folder
    assert names(folder) == names(whole)
    assert (folder / "sweep.csv").read_bytes() == (whole / "sweep.csv").read_bytes()
    for name in ("results.json", "results.csv", "predictions/fused.json"):
        for noise in (0, 60, 90):
            path = f"perturb.ir_noise={noise}/{name}"
            assert (folder / path).read_bytes() == (whole / path).read_bytes()


def test_resume_takes_the_last_sweep_and_more_values(toy):
    for _ in range(2):
        sweep.sweep(toy, ["perturb.ir_noise=0,60"], quiet)
    outcome = sweep.sweep(toy, [NOISE, "run.resume=true"], quiet)
    assert str(outcome.folder) == "runs/toy-sweep-2"
    assert len(table(outcome.folder)) == 12


@pytest.mark.parametrize("number", [1, 2])
def test_resume_refuses_another_configuration(toy, here, number):
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(toy, [NOISE], stop_in_run(number))
    before = names(here / "runs/toy-sweep")
    with pytest.raises(ConfigError, match=r"run\.resume: .*was begun with another compute"):
        sweep.sweep(toy, [NOISE, "run.resume=true", "compute.batch=2"], quiet)
    assert names(here / "runs/toy-sweep") == before


def test_intervals_come_from_the_results(toy, monkeypatch, capsys):
    run = runner.run

    def with_intervals(*arguments):
        outcome = run(*arguments)
        intervals = {"map50": [0.25, 1.0], "map50_95": None}
        for part in outcome.results["arms"].values():
            part["detection"]["ci95"] = intervals
        return outcome

    monkeypatch.setattr(runner, "run", with_intervals)
    outcome = sweep.sweep(toy, ["arms.late.arms=[ir,vis],[vis,ir]"], quiet)
    row = table(outcome.folder)[0]
    assert (row["map50_low"], row["map50_high"]) == ("0.25", "1.0")
    assert (row["map50_95_low"], row["map50_95_high"]) == ("", "")
    sweep.print_report(outcome)
    text = capsys.readouterr().out
    parts = text.split("mAP@.5")
    assert "95% interval" not in parts[1]
    assert "95% interval" in parts[2]
    cells = [line.strip("│").split("│") for line in parts[2].splitlines() if "│" in line]
    assert [cell.strip() for cell in cells[0]] == ["[ir,vis]", "0.995", "0.995", "0.750", "0.995"]
    assert [cell.strip() for cell in cells[1]] == ["", *[".250–1.000"] * 4]
    assert text.rstrip().endswith("Sweep folder: runs/toy-sweep (all numbers are in its sweep.csv)")


def test_an_arm_that_only_some_runs_have(toy, capsys):
    outcome = sweep.sweep(toy, ["arms.more=null,{kind: average}"], quiet)
    sweep.print_report(outcome)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│ ")]
    last = [line.strip("│").split("│")[-1].strip() for line in lines]
    # a score, then its interval in the line below
    assert [last[0], last[2]] == ["–", "0.750"]
    results = json.loads((outcome.folder / "arms.more=null" / "results.json").read_text())
    assert "more" not in results["arms"]


def test_a_resumed_sweep_keeps_all_its_values(toy):
    outcome = sweep.sweep(toy, ["perturb.ir_noise=0,60"], quiet)
    before = (outcome.folder / "sweep.csv").read_bytes()
    with pytest.raises(ConfigError, match=r"toy-sweep has perturb\.ir_noise=60 too; repeat all"):
        sweep.sweep(toy, ["perturb.ir_noise=0,90", "run.resume=true"], quiet)
    assert (outcome.folder / "sweep.csv").read_bytes() == before
    more = sweep.sweep(toy, ["perturb.ir_noise=0,60,90", "run.resume=true"], quiet)
    assert [row["perturb.ir_noise"] for row in table(more.folder)[::4]] == ["0", "60", "90"]
