import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from eval.report.charts import INK, SERIES, colours_of, style
from eval.report.svg import svg

HOSTILE = '<script>alert(1)</script> "$x$" & 🚗'


def drawing(name="chart", title="title", text="what it shows"):
    with style():
        figure = Figure((3, 2), layout="constrained")
        axes = figure.add_subplot(title=title, xlabel="x")
        axes.plot([1, 2], [3, 4], marker="o", color=SERIES[1], label="a")
        axes.legend()
        return svg(figure, name, text)


def test_it_is_the_same_each_time_and_well_formed():
    assert drawing() == drawing()
    ET.fromstring(str(drawing()))


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_are_text_and_nothing_else():
    drawn = str(drawing(title=HOSTILE, text=HOSTILE))
    assert "<script" not in drawn
    root = ET.fromstring(drawn)
    assert HOSTILE in {"".join(part.itertext()).strip() for part in root.iter() if part.text}
    assert root.attrib["aria-label"] == HOSTILE


def test_colours_are_the_page_s():
    drawn = drawing()
    assert SERIES[1] not in drawn
    assert INK not in drawn
    assert "var(--series-1)" in drawn
    assert "var(--ink)" in drawn
    assert "DejaVu" not in drawn


def test_ids_of_two_charts_differ_and_all_references_are_met():
    first, second = drawing("one"), drawing("two")
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn)) for drawn in (first, second)]
    assert not ids[0] & ids[1]
    for drawn, mine in zip((first, second), ids, strict=True):
        assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', drawn)) <= mine


def test_an_arm_keeps_its_colour_by_its_place():
    assert colours_of(["a", "b"]) == {"a": SERIES[0], "b": SERIES[1]}
    assert colours_of([str(i) for i in range(9)])["8"] == SERIES[0]
