"""Pages of runs that are unusual, large or lack something."""

import csv
import json
import re

import numpy as np
import pytest

from common.errors import ConfigError
from eval.report import page as pages
from eval.report.gallery import rank
from pipeline.commands import report
from tests.helpers import toys
from tests.helpers.report_page import WITH_REPORT, Page, page, words
from tests.helpers.runs import execute


def test_hostile_names_stay_text(pairs, here):
    names = ["<script>alert(1)</script>'\"", "two\nlines 🚗 $x$", "&amp;{{ 7*7 }}"]
    for number, name in enumerate(names):
        name = name.replace("/", "∕")
        for folder, suffix in (("ir", "png"), ("vi", "png"), ("labels", "txt")):
            path = pairs / folder / f"{number:03d}.{suffix}"
            path.rename(path.with_name(f"{name}.{suffix}"))
    folder = execute(toys.settings(pairs, **WITH_REPORT)).folder
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
    folder = execute(settings).folder
    assert said in words(page(folder))


def test_a_single_frame(here):
    root = toys.write_pairs(here / "one", 1)
    folder = execute(toys.settings(root, **WITH_REPORT)).folder
    said = words(page(folder))
    assert "1 of 1 pairs" in said
    assert "a single image with labels gives no intervals" in said
    assert "too few images for an interval" in said


def test_no_detection_at_all(here):
    root = toys.write_pairs(here / "dark", 3)
    for path in (*(root / "ir").iterdir(), *(root / "vi").iterdir()):
        shape = (48, 64) if path.parent.name == "ir" else (48, 64, 3)
        toys.Image.fromarray(np.full(shape, 30, np.uint8)).save(path)
    folder = execute(toys.settings(root, **WITH_REPORT)).folder
    text = page(folder)
    assert len(Page(text).values("image", "href")) == 3  # missed by all


def test_without_labels(here):
    root = toys.write_pairs(here / "bare", 4, labels=False)
    settings = toys.settings(root, **WITH_REPORT)
    settings["source"] = {"kind": "image_folder", "ir": str(root / "ir"), "vis": str(root / "vi")}
    folder = execute(settings).folder
    said = words(page(folder))
    assert "No labels, no verdict." in said
    assert "Agreement between arms" in said
    # ir finds 4, vis 2, both in the same places: 2 · 2 / (4 + 2)
    assert "vis 2 0.667 0.667 1.000" in said


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


def test_a_run_without_crops_says_so(pairs):
    folder = execute(toys.settings(pairs)).folder
    report.report([folder], None)
    assert "The run kept no crops" in words(page(folder))


def test_a_report_needs_results(pairs):
    settings = toys.settings(pairs, sinks={"report": {"kind": "report"}})
    with pytest.raises(ConfigError, match="a report needs results"):
        execute(settings)


@pytest.mark.slow
def test_very_many_frames(here):
    """A run folder as such a run leaves it: every file but the gallery grows with the frames."""
    root = toys.write_pairs(here / "bare", 4, labels=False)
    settings = toys.settings(root, **WITH_REPORT)
    settings["source"] = {"kind": "image_folder", "ir": str(root / "ir"), "vis": str(root / "vi")}
    folder, frames = execute(settings).folder, 12_000
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
    assert len(text) < 1.2e6  # not a hundred bytes a frame
    said = words(text)
    assert "12000 frames that did not become part of a normal pair, the first 200" in said
    assert "IoU from 0.5, 2000 pairs." in said
    assert "fused 6000 1.000 1.000 1.000 1.000" in said
