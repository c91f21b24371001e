"""The page of a run, and of several."""

import base64
import csv
import hashlib
import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from markupsafe import Markup

from common.errors import DataError
from pipeline import cli
from pipeline.commands import report, sweep
from pipeline.sinks import _page
from tests.helpers import toys
from tests.helpers.report_page import WITH_REPORT, Page, page, words
from tests.helpers.runs import execute


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with its pairs, made once."""
    folder = tmp_path_factory.mktemp("made")
    pairs = toys.write_pairs(folder / "pairs")
    settings = toys.settings(pairs, **WITH_REPORT)
    settings["run"]["dir"] = str(folder / "toy")
    execute(settings)
    return folder


@pytest.fixture
def toy(made, here):
    """A copy of that run, as runs/toy."""
    shutil.copytree(made, here, dirs_exist_ok=True)
    (here / "runs").mkdir()
    (here / "toy").rename(here / "runs" / "toy")
    return Path("runs/toy")


@pytest.fixture
def undrawn(monkeypatch):
    """Charts are made but not drawn, which takes a second of each page."""
    monkeypatch.setattr(_page, "svg", lambda figure, name, text: Markup("<svg></svg>"))


@pytest.fixture
def pairs(here):
    return here / "pairs" if (here / "pairs").exists() else toys.write_pairs(here / "pairs")


def test_a_run_writes_its_page(made, toy):
    text = page(toy)
    said = words(text)
    assert "6 of 6 pairs, 6 of 6 objects" in said
    assert f"irvis run {made}/toy/config.yaml" in said
    assert "Bottleneck:" in said
    results = json.loads((toy / "results.json").read_text())
    assert results["protocol"]["fingerprint"] in said
    for arm, part in results["arms"].items():
        assert f"{part['detection']['yolo']['map50_95']:.3f}" in said, arm
    assert len(Page(text).values("image", "href")) == 3  # of 6 persons, VIS misses three


def test_nothing_in_it_is_elsewhere(toy):
    text = page(toy)
    parsed = Page(text)
    links = [
        value
        for tag, attrs in parsed.tags
        for name, value in attrs.items()
        if name in ("src", "href", "action", "data", "poster", "srcset") and tag != "use"
    ]
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "url(http" not in text
    assert "@import" not in text


def test_only_its_own_script_may_run(toy):
    text = page(toy)
    policy = Page(text).values("meta", "content")[0]
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_it_can_be_made_again(made, toy, capsys):
    before = page(toy)
    assert cli.main(["report", str(toy)]) == 0
    assert capsys.readouterr().out == f"{toy}/report.html\n"
    again = page(toy)
    assert again.replace("runs/toy/config.yaml", f"{made}/toy/config.yaml") == before
    assert cli.main(["report", str(toy), "-o", "new/place.html"]) == 0
    assert Path("new/place.html").read_text() == again


@pytest.mark.usefixtures("undrawn")
def test_the_ledger_is_cut_and_says_so(toy, monkeypatch):
    monkeypatch.setattr(_page, "_LEDGER", 2)
    with (toy / "ledger.csv").open("a", newline="") as file:
        csv.writer(file).writerows([f"k{i}", "failed", "", "", "<b>"] for i in range(5))
    report.report([toy], None)
    said = words(page(toy))
    assert "5 frames that did not become part of a normal pair, the first 2" in said
    assert "k1 failed <b>" in said
    assert "k2" not in said


@pytest.mark.usefixtures("undrawn")
def test_several_runs_in_one_page(toy, pairs):
    settings = toys.settings(pairs, **WITH_REPORT)
    settings["arms"]["fused"] = {"kind": "average"}
    other = execute(settings).folder
    made = report.report([toy, other], toy.parent / "both.html")
    text = made.read_text()
    said = words(text)
    assert "Comparison of the runs" in said
    assert "toy-2 − toy" in said
    assert Page(text).values("a", "href")[-2:] == ["toy/report.html", "toy-2/report.html"]


@pytest.mark.usefixtures("undrawn")
def test_runs_that_can_not_be_compared_say_why(toy, here):
    other = execute(toys.settings(toys.write_pairs(here / "others", 4), **WITH_REPORT)).folder
    said = words(report.report([toy, other], toy.parent / "both.html").read_text())
    assert "The runs cannot be compared:" in said
    assert "6 of 6 pairs" in said
    assert "4 of 4 pairs" in said


def test_a_sweep_has_its_curves(pairs, here):
    settings = toys.settings(pairs)
    path = here / "toy.yaml"
    path.write_text(yaml.safe_dump(settings))
    swept = sweep.sweep(path, ["perturb.ir_noise=0,60"], lambda t: nullcontext(lambda d, n: None))
    text = report.report([swept.folder], None).read_text()
    said = words(text)
    assert "Over the values of the sweep" in said
    assert "perturb.ir_noise" in said
    assert "fused" in said


@pytest.mark.usefixtures("undrawn")
def test_a_sweep_shows_values_as_they_are_written(toy, here):
    swept = here / "swept"
    swept.mkdir()
    shutil.copytree(toy, swept / "key=0.50")
    shutil.copytree(toy, swept / "key=1.partial")
    columns = ["map50", "map50_low", "map50_high", "map50_95", "map50_95_low", "map50_95_high"]
    lines = ["key,arm," + ",".join(columns)]
    lines += [f"{value},null,0.5,0.4,0.6,0.3,," for value in ("null", "0.50")]
    (swept / "sweep.csv").write_text("\n".join(lines) + "\n")
    said = words(report.report([swept], None).read_text())
    assert "null null 0.500 0.300" in said
    assert "0.50 null 0.500 0.300" in said
    assert "swept/key=0.50" in said
    assert "key=1" not in said


@pytest.mark.usefixtures("undrawn")
def test_runs_of_one_name_are_told_apart(toy, here):
    shutil.copytree(toy, here / "other" / "toy")
    text = report.report([toy, Path("other/toy")], here / "both.html").read_text()
    heads = re.findall(r'<h2 id="run-\d">(.*?)</h2>', text)
    assert heads == ["runs/toy", "other/toy"]


@pytest.mark.usefixtures("undrawn")
def test_moments_are_in_the_order_of_their_numbers(toy):
    last = json.loads((toy / "gallery" / "moment-000005.json").read_text())
    last |= {"number": 1_000_000, "key": "last"}
    (toy / "gallery" / "moment-1000000.json").write_text(json.dumps(last))
    report.report([toy], None)
    data = re.search(r'<script type="application/json">(.*?)</script>', page(toy), re.DOTALL)[1]
    assert [m["key"] for m in json.loads(data)] == [*(f"{i:03d}" for i in range(6)), "last"]


def test_figures_for_a_paper(toy):
    made = report.figures(toy, toy.parent / "figures")
    names = sorted(path.name for path in made)
    assert names == [
        "accuracy-time.pdf", "attribution-confidence.pdf", "attribution-false_positives.pdf",
        "attribution.tex", "differences.tex", "errors.pdf", "precision-recall.pdf", "scores.tex",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"%PDF") for path in made if path.suffix == ".pdf")
    results = json.loads((toy / "results.json").read_text())
    score = results["arms"]["fused"]["detection"]["yolo"]["map50"]
    assert f"{score:.3f}" in (toy.parent / "figures" / "scores.tex").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: is no run folder"),
        (["unfinished"], "the run isn't finished"),
        (["old"], 'lacks "schema": 1'),
        (["runs/toy", "runs/toy"], "several runs need a file"),
        (["runs/toy", "-o", "runs"], "is a folder; name the page"),
        (["runs/toy", "runs/toy", "--figures", "out"], "takes one run"),
        (["edited"], "edited/timing.json: has no"),
        (["damaged"], "object-000001-0000.json:1: not JSON"),
        (["changed"], "changed/gallery/moment-000000.json: has no key"),
    ],
)
def test_mistakes_are_one_line(toy, here, capsys, arguments, said):
    (here / "unfinished.partial").mkdir()
    shutil.copytree(toy, here / "old")
    (here / "old" / "results.json").write_text('{"schema": 0}')
    shutil.copytree(toy, here / "edited")
    (here / "edited" / "timing.json").write_text("{}")
    shutil.copytree(toy, here / "damaged")
    (here / "damaged" / "gallery" / "object-000001-0000.json").write_text("{")
    shutil.copytree(toy, here / "changed")
    (here / "changed" / "gallery" / "moment-000000.json").write_text('{"number": 0, "images": {}}')
    assert cli.main(["report", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("undrawn")
def test_a_page_that_can_not_be_written(toy):
    (toy.parent / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        report.report([toy], toy.parent / "file" / "page.html")
