"""Figures as SVG for embedding in a page, with the page's colours and font and unique ids."""

import io
import re

from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from eval.report.charts import INK, OUTCOME_COLOURS, RULE, SERIES

# The page's CSS variables by colour; their values differ in the dark theme.
VARIABLES = {
    INK: "--ink",
    RULE: "--rule",
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES)},
    **{colour: f"--{name.replace('_', '-')}" for name, colour in OUTCOME_COLOURS.items()},
}


def svg(figure: Figure, name: str, text: str) -> Markup:
    """Convert a figure to an SVG element; must be called within ``charts.style``.

    Args:
        figure: The figure.
        name: Prefix of its ids, unique on the page; letters, digits, hyphens.
        text: Its description, for screen readers.
    """
    file = io.StringIO()
    # figure.savefig would draw twice, first without a result
    canvas = FigureCanvasSVG(figure)
    canvas.print_svg(file, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", drawn)
    drawn = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", drawn)
    drawn = drawn.replace("font-family: 'DejaVu Sans'; ", "")  # use the page's font
    for colour, variable in VARIABLES.items():
        drawn = drawn.replace(colour, f"var({variable})")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt"', drawn)
    assert size is not None, "matplotlib states the size"
    opening = f'role="img" aria-label="{escape(text)}" style="max-width: {size[1]}pt"'
    return Markup(drawn.replace(size[0], opening, 1))  # noqa: S704  (matplotlib escapes its text)
