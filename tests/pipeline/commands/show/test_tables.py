"""The tables of one run: cells by hand."""

import re

import pytest

from eval.fingerprint import fingerprint
from eval.quality.names import METRICS
from pipeline.commands.show import introduction, print_report
from tests.helpers import toys
from tests.helpers.runs import run_in
from tests.pipeline.commands.show.section_tables import rows, tables


def test_the_main_question_comes_first(results):
    assert list(tables(results)) == [
        "scores", "sizes", "at confidence", "at false positives", "points", "errors", "confusion",
        "quality", "correlation",
    ]  # fmt: skip


def test_scores(results):
    section = tables(results)["scores"]
    arms = ("fused", "ir", "vis", "late")
    found = rows(section)
    groups = ("all", "person", "day", "night")
    assert list(found) == [(group, arm) for group in groups for arm in arms]
    assert section.columns[2:] == (
        "images", "labels", "P", "R", "mAP@.5", "mAP@.5:.95", "COCO AP", "LAMR ↓",
    )  # fmt: skip
    # half is found: a straight line from (0.5, 1) to (1, 0); COCO counts 51 of 101 recalls
    half = ["6", "6", "1.000", "0.500", "0.750", "0.750"]
    assert found["all", "vis"] == [*half, "0.505", "–"]
    assert found["person", "vis"] == [*half, "0.505", "0.500"]
    whole = ["6", "6", "1.000", "1.000", "0.995", "0.995"]
    assert found["person", "fused"] == [*whole, "1.000", "0.000"]
    # the box that VIS shows makes its images bright: it finds all by day, nothing by night
    assert found["day", "vis"] == ["3", "3", *whole[2:], "–", "–"]
    assert found["night", "vis"] == ["3", "3", *4 * ["0.000"], "–", "–"]


def test_sizes(results):
    assert rows(tables(results)["sizes"], 1) == {  # 12x20 pixels: small
        ("fused",): ["1.000", "–", "–"],
        ("ir",): ["1.000", "–", "–"],
        ("vis",): ["0.505", "–", "–"],
        ("late",): ["1.000", "–", "–"],
    }


@pytest.mark.parametrize("setting", ["at confidence", "at false positives"])
def test_attribution(results, setting):
    section = tables(results)[setting]
    assert section.columns[2:] == (
        "objects", "kept both", "kept IR", "kept VIS", "rescued", "lost both", "lost IR",
        "lost VIS", "missed",
    )  # fmt: skip
    found = rows(section)
    expected = {
        "all": ["6", "3", "3", *6 * "0"],
        "person": ["6", "3", "3", *6 * "0"],
        "small": ["6", "3", "3", *6 * "0"],
        "day": ["3", "3", *7 * "0"],
        "night": ["3", "0", "3", *6 * "0"],
    }
    assert found == {(arm, k): row for arm in ("fused", "late") for k, row in expected.items()}


def test_attribution_is_in_a_readers_order(results):
    counts = results["attribution"]["fused"]["confidence"]["counts"]
    counts["all"] = {
        "missed_by_all": 1, "rescued": 2, "lost_vis": 3, "kept_vis": 4, "lost_ir": 5, "kept_ir": 6,
        "lost_both": 7, "kept_both": 8,
    }  # fmt: skip
    found = rows(tables(results)["at confidence"])
    assert found["fused", "all"] == ["36", "8", "6", "4", "2", "7", "5", "3", "1"]


def test_operating_points(results):
    found = rows(tables(results)["points"])
    assert found["conf 0.25", "vis"] == ["0.250", "1.000", "0.500", "0.667", "0.000"]
    assert found["FPPI 0.1", "vis"] == ["0.000", "1.000", "0.500", "0.667", "0.000"]
    results["arms"]["vis"]["detection"]["operating_points"]["confidence"]["precision"] = None
    assert rows(tables(results)["points"])["conf 0.25", "vis"][1] == "–"


def test_errors(results):
    found = rows(tables(results)["errors"])
    # the missed half is all that could be gained: AP 51 / 101 of 1
    assert found["gain", "vis"] == ["0.505", *5 * ["0.000"], "0.495", "0.000", "0.495"]
    assert found["count", "vis"] == ["", "0", "0", "0", "0", "0", "3", "0", "3"]


def test_confusion(results):
    found = rows(tables(results)["confusion"])
    assert tables(results)["confusion"].columns == ("arm", "detected as", "person", "background")
    assert found == {
        ("fused", "person"): ["6", "0"], ("fused", "background"): ["0", "0"],
        ("ir", "person"): ["6", "0"], ("ir", "background"): ["0", "0"],
        ("vis", "person"): ["3", "0"], ("vis", "background"): ["3", "0"],
    }  # fmt: skip


def test_of_many_classes_the_rarest_are_taken_together(results):
    names = [f"c{i}" for i in range(14)]
    for part in results["arms"].values():
        matrix = [[0] * 15 for _ in range(15)]
        for i in range(12):  # c12 and c13 don't occur; c0 is the rarest
            matrix[i][i] = 10 + i
        matrix[0][11], matrix[1][2], matrix[14][0] = 1, 2, 3
        part["detection"]["confusion"] = {"classes": [*names, "background"], "matrix": matrix}
    section = tables(results)["confusion"]
    shown = [f"c{i}" for i in range(3, 12)]
    # by labels and detections: c0 has 24, c1 24, c2 26, c3 26; of the last two the first stays
    assert section.columns[2:] == ("c2", *shown[1:], "others", "background")
    found = rows(section)
    assert found["ir", "c2"] == ["12", *10 * "0"]
    assert found["ir", "c11"] == [*8 * "0", "21", "0", "0"]
    assert found["ir", "others"] == ["2", *7 * "0", "1", "34", "0"]
    assert found["ir", "background"] == [*9 * "0", "3", "0"]


def test_quality(results):
    section = tables(results)["quality"]
    assert section.columns == ("metric", "fused", "ir", "vis")  # late has no image
    assert [row[0].split()[0] for row in section.rows] == [metric.name for metric in METRICS]
    assert [row[0] for row in section.rows[7:9]] == ["Qabf ↑ ", "Nabf ↓ "]
    mean = results["arms"]["fused"]["quality"]["en"]
    assert rows(section, 1)["EN ↑ bit",][0] == f"{mean:.3f}"
    assert rows(section, 1)["MS-SSIM ↑ ",] == ["–", "–", "–"]  # the images are too small


def test_correlation(results):
    numbers = {"rho": -0.523, "ci95": [-0.8, -0.1], "images": 6}
    unclear = {"rho": 0.1, "ci95": [-0.4, 0.5], "images": 6}
    results["quality_correlation"]["fused"] |= {"en": numbers, "sd": unclear}
    section = tables(results)["correlation"]
    assert section.columns == ("metric", "fused")
    found = rows(section, 1)
    assert (found["EN",][0], found["SD",][0]) == ("-0.52*", "+0.10 ")
    assert found["MS-SSIM",][0] == "–"


def test_introduction_has_the_warnings_first(results):
    assert list(introduction(results)) == [
        "Warning: 6 images with labels are few: 95% intervals are too narrow",
        f"6 of 6 pairs, 6 of 6 objects; fingerprint {fingerprint(results['protocol'])}",
        "Detector: bright box (none, weights 0), conf 0.0, NMS IoU 0.5",
    ]
    results["protocol"]["perturb"] = {"ir_noise": 20.0}
    assert 'Perturbed: {"ir_noise": 20.0}' in list(introduction(results))


def test_printed(made, capsys):
    print_report(made)
    lines = capsys.readouterr().out.splitlines()
    cells = [[c.strip() for c in line.strip("│").split("│")] for line in lines if "│" in line]
    # the run's own tables come first, with intervals and verdicts
    assert cells[0][:4] == ["fused", "1.000", "1.000", "0.995 0.995…0.995"]
    assert any(row[0] == "fused − vis" and row[-1] == "no evidence" for row in cells)
    first = next(i for i, row in enumerate(cells) if row[:2] == ["all", "fused"])
    assert cells[first + 1][:2] == ["", "ir"]  # the group stands in its first row only
    assert ["conf 0.25", "fused", "0.250", "1.000", "1.000", "1.000", "0.000"] in cells
    assert "Outcomes of labelled objects, all arms at confidence 0.25" in lines
    assert max(map(len, lines)) <= 120


def test_six_arms_fit_in_120_columns(here, pairs, capsys):
    arms = toys.settings(pairs)["arms"]
    more = {"average": {"kind": "average"}, "laplacian": {"kind": "laplacian"}}
    made = run_in(here / "run", pairs, arms={**arms, **more}, evaluation={"quality": True})
    print_report(made)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert not any(re.search("…( |│)", line) for line in lines)  # no cell is cut short
    # no cell is broken into a second line: each row of the quality table has its metric
    start = next(i for i, line in enumerate(lines) if line.startswith("Image quality"))
    table = [line for line in lines[start:] if "│" in line][: len(METRICS)]
    assert [line.strip("│").split()[0] for line in table] == [metric.name for metric in METRICS]
