import base64
import csv
import hashlib
import json
import re
import shutil
from contextlib import nullcontext
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from common.errors import ConfigError, DataError
from eval.report import page as pages
from eval.report.gallery import rank
from pipeline import cli
from pipeline.commands import report, sweep
from pipeline.config import config
from pipeline.engine import runner
from pipeline.sinks import _page
from tests.helpers import toys

WITH_REPORT = {"sinks": {"results": {"kind": "results"}, "report": {"kind": "report"}}}


class Page(HTMLParser):
    """Tags with their attributes, and all text outside of style and script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self._in = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("style", "script"):
            self._in.append(tag)

    def handle_endtag(self, tag):
        if self._in and self._in[-1] == tag:
            self._in.pop()

    def handle_data(self, data):
        if not self._in:
            self.text += f" {data}"

    def values(self, tag, name):
        return [attrs[name] for t, attrs in self.tags if t == tag and name in attrs]


def execute(settings):
    return runner.run(config.check(settings), lambda done, total: None).folder


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
def pairs(here):
    return here / "pairs" if (here / "pairs").exists() else toys.write_pairs(here / "pairs")


def page(folder):
    return (folder / "report.html").read_text()


def words(text):
    return " ".join(Page(text).text.split())


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


def test_hostile_names_stay_text(pairs, here):
    names = ["<script>alert(1)</script>'\"", "two\nlines 🚗 $x$", "&amp;{{ 7*7 }}"]
    for number, name in enumerate(names):
        name = name.replace("/", "∕")
        for folder, suffix in (("ir", "png"), ("vi", "png"), ("labels", "txt")):
            path = pairs / folder / f"{number:03d}.{suffix}"
            path.rename(path.with_name(f"{name}.{suffix}"))
    folder = execute(toys.settings(pairs, **WITH_REPORT))
    text = page(folder)
    assert "<script>alert" not in text
    parsed = Page(text)
    assert len([tag for tag, attrs in parsed.tags if tag == "script" and not attrs]) == 1
    said = words(text)
    assert "{{ 7*7 }}" in said
    assert "two lines 🚗" in said
    assert any("<script>alert(1)<∕script>" in (alt or "") for alt in parsed.values("img", "alt"))
    data = re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)[1]
    assert any("two\nlines" in moment["key"] for moment in json.loads(data))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arms": {"only": {"kind": "average"}}}, "only is the only arm"),
        ({"detector": None, "arms": {"a": {"kind": "average"}}}, "Fused, not evaluated."),
        ({"evaluation": {"classes": [2]}}, "No object of the evaluated classes is labelled."),
        ({"arms": {"ir": {"kind": "ir_only"}, "a": {"kind": "average"}}}, "the single modality ir"),
    ],
)
def test_runs_that_lack_something(pairs, change, said):
    settings = toys.settings(pairs, **{**WITH_REPORT, **change})
    folder = execute(settings)
    assert said in words(page(folder))


def test_a_single_frame(here):
    root = toys.write_pairs(here / "one", 1)
    folder = execute(toys.settings(root, **WITH_REPORT))
    said = words(page(folder))
    assert "1 of 1 pairs" in said
    assert "a single image with labels gives no intervals" in said
    assert "too few images for an interval" in said


def test_no_detection_at_all(here):
    root = toys.write_pairs(here / "dark", 3)
    for path in (*(root / "ir").iterdir(), *(root / "vi").iterdir()):
        shape = (48, 64) if path.parent.name == "ir" else (48, 64, 3)
        toys.Image.fromarray(np.full(shape, 30, np.uint8)).save(path)
    folder = execute(toys.settings(root, **WITH_REPORT))
    text = page(folder)
    assert len(Page(text).values("image", "href")) == 3  # missed by all


def test_without_labels(here):
    root = toys.write_pairs(here / "bare", 4, labels=False)
    settings = toys.settings(root, **WITH_REPORT)
    settings["source"] = {"kind": "image_folder", "ir": str(root / "ir"), "vis": str(root / "vi")}
    folder = execute(settings)
    said = words(page(folder))
    assert "No labels, no verdict." in said
    assert "Agreement between arms" in said
    # ir finds 4, vis 2, both in the same places: 2 · 2 / (4 + 2)
    assert "vis 2 0.667 0.667 1.000" in said


def test_the_ledger_is_cut_and_says_so(toy, monkeypatch):
    monkeypatch.setattr(_page, "_LEDGER", 2)
    with (toy / "ledger.csv").open("a", newline="") as file:
        csv.writer(file).writerows([f"k{i}", "failed", "", "", "<b>"] for i in range(5))
    report.report([toy], None)
    said = words(page(toy))
    assert "5 frames that did not become part of a normal pair, the first 2" in said
    assert "k1 failed <b>" in said
    assert "k2" not in said


def picture(number, size, fate="rescued"):
    """A moment and an object of so many bytes each."""
    return (
        {"number": number, "images": {"ir": "x" * size}},
        {
            "number": number,
            "key": str(number),
            "label": 0,
            "strip": "x" * size,
            "arms": {"a": {"outcome": fate}},
        },
    )  # fmt: skip


def test_pictures_stay_within_their_budget(monkeypatch):
    monkeypatch.setattr(pages, "PICTURES", 1000)
    fates = ["rescued"] * 6 + ["lost_ir"] * 2
    moments, objects = zip(*(picture(i, 100, f) for i, f in enumerate(fates)), strict=True)
    shown, kept = pages.within_budget(moments, objects)
    assert [m["number"] for m in shown] == [0, 2, 4, 6]  # 8 would be over half
    # six places: the two of the rarer fate, and a random four of the others
    others = sorted(range(6), key=lambda number: rank(str(number), 0))[:4]
    assert [o["number"] for o in kept] == [*sorted(others), 6, 7]
    assert pages.within_budget(moments[:1], ()) == ([moments[0]], [])
    assert pages.within_budget((), list(reversed(objects)))[1] == list(objects)


def test_several_runs_in_one_page(toy, pairs):
    settings = toys.settings(pairs, **WITH_REPORT)
    settings["arms"]["fused"] = {"kind": "average"}
    other = execute(settings)
    made = report.report([toy, other], toy.parent / "both.html")
    text = made.read_text()
    said = words(text)
    assert "Comparison of the runs" in said
    assert "toy-2 − toy" in said
    assert Page(text).values("a", "href")[-2:] == ["toy/report.html", "toy-2/report.html"]


def test_runs_that_can_not_be_compared_say_why(toy, here):
    other = execute(toys.settings(toys.write_pairs(here / "others", 4), **WITH_REPORT))
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


def test_runs_of_one_name_are_told_apart(toy, here):
    shutil.copytree(toy, here / "other" / "toy")
    text = report.report([toy, Path("other/toy")], here / "both.html").read_text()
    heads = re.findall(r'<h2 id="run-\d">(.*?)</h2>', text)
    assert heads == ["runs/toy", "other/toy"]


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
        (["old"], 'doesn\'t say "schema": 1'),
        (["runs/toy", "runs/toy"], "several runs need a place"),
        (["runs/toy", "-o", "runs"], "is a folder; name the page"),
        (["runs/toy", "runs/toy", "--figures", "out"], "takes one run"),
        (["edited"], "edited/timing.json: has no"),
        (["damaged"], "object-000001-0000.json:1: not JSON"),
        (["changed"], "changed: lacks something that the page shows"),
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


def test_a_run_without_crops_says_so(pairs):
    folder = execute(toys.settings(pairs))
    report.report([folder], None)
    assert "The run kept no crops" in words(page(folder))


def test_a_report_needs_results(pairs):
    settings = toys.settings(pairs, sinks={"report": {"kind": "report"}})
    with pytest.raises(ConfigError, match="a report needs results"):
        runner.run(config.check(settings), lambda d, t: None)


def test_a_page_that_can_not_be_written(toy):
    (toy.parent / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        report.report([toy], toy.parent / "file" / "page.html")


@pytest.mark.slow
def test_fifty_thousand_frames(here):
    """A run folder as such a run leaves it: every file but the gallery grows with the frames."""
    root = toys.write_pairs(here / "bare", 4, labels=False)
    settings = toys.settings(root, **WITH_REPORT)
    settings["source"] = {"kind": "image_folder", "ir": str(root / "ir"), "vis": str(root / "vi")}
    folder, frames = execute(settings), 50_000
    truth = json.loads((folder / "ground_truth.json").read_text())
    truth["images"] = [{**truth["images"][0], "id": i, "key": f"{i}"} for i in range(frames)]
    (folder / "ground_truth.json").write_text(json.dumps(truth))
    boxes = [
        {"image_id": i, "category_id": 0, "bbox": [i % 40, n * 9, 10, 8], "score": 0.5}
        for i in range(frames)
        for n in range(3)
    ]
    for arm in ("fused", "ir", "vis", "late"):
        (folder / "predictions" / f"{arm}.json").write_text(json.dumps(boxes))
    with (folder / "ledger.csv").open("a", newline="") as file:
        csv.writer(file).writerows([f"k{i}", "failed", "", "", "bad"] for i in range(frames))
    text = report.report([folder], None).read_text()
    assert len(text) < 5e6
    said = words(text)
    assert "50000 frames that did not become part of a normal pair, the first 200" in said
    assert "IoU from 0.5, 2000 pairs." in said
    assert "fused 6000 1.000 1.000 1.000 1.000" in said
