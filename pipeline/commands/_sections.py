"""The tables of a report on the terminal."""

from itertools import groupby
from operator import itemgetter

from rich.table import Table
from rich.text import Text

from eval.report.tables import Section
from pipeline.commands._terminal import console


def print_section(section: Section) -> None:
    """Print title, table and note."""
    out = console()
    out.print()
    out.print(Text(section.title, "bold"))
    out.print(section_table(section))
    if section.note:
        out.print(Text(section.note, "dim"))


def section_table(section: Section) -> Table:
    """The table of a section; the name of a group is only in its first row."""
    names = 2 if section.grouped else 1
    table = Table()
    for index, name in enumerate(section.columns):
        table.add_column(Text(name), justify="left" if index < names else "right")
    for _, rows in groupby(section.rows, itemgetter(0)):
        for index, (first, *rest) in enumerate(rows):
            # Text, because rich would take [ir,vis] for a style
            table.add_row(*map(Text, ["" if index else first, *rest]))
        if section.grouped:
            table.add_section()
    return table
