"""Figures as SVG inside a page: its colours and its font, ids of its own."""

import io
import re

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from eval.report.charts import INK, OUTCOME_COLOURS, RULE, SERIES

# What the page's style sheet calls the colours; it has others for dark.
VARIABLES = {
    INK: "--ink",
    RULE: "--rule",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES)},
    **{colour: f"--{name.replace('_', '-')}" for name, colour in OUTCOME_COLOURS.items()},
}


def svg(figure: Figure, name: str, text: str) -> Markup:
    """A figure as an SVG element that a page can hold, made under ``charts.style``.

    Args:
        figure: The figure.
        name: Tells its ids from those of other figures on the page; letters, digits, hyphens.
        text: What it shows, for those who don't see it.
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    drawn = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", drawn)
    drawn = drawn.replace("font-family: 'DejaVu Sans'; ", "")  # the page's font
    for colour, variable in VARIABLES.items():
        drawn = drawn.replace(colour, f"var({variable})")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', drawn)
    assert size is not None, "matplotlib states the size"
    opening = f'role="img" aria-label="{escape(text)}" style="max-width: {size[1]}pt"'
    return Markup(drawn.replace(size[0], opening, 1))  # noqa: S704  (matplotlib escapes its text)
