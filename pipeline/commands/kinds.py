"""`irvis kinds`: lists the kinds of each part of the configuration, and their settings."""

import argparse

from rich.table import Table
from rich.text import Text

from pipeline.commands._terminal import console, print_lines
from pipeline.config.components import FOLDERS, kinds
from pipeline.config.described import PARTS, SECTIONS, meaning, settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the part and the kind."""
    parser.add_argument("part", nargs="?", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("kind", nargs="?", metavar="KIND", help="a kind, or your.own.module")


def run(parsed: argparse.Namespace) -> None:
    """Print the kinds of all parts or of one, or the settings of a kind or a section."""
    part, kind = parsed.part, parsed.kind
    if part is None:
        _print_kinds(list(FOLDERS))
        for section in SECTIONS:
            print_lines(f"{section}: {meaning(section)} (irvis kinds {section})")
    elif part in FOLDERS and kind is None:
        _print_kinds([part])
    else:
        _print_settings(part, kind)


def _print_kinds(parts: list[str]) -> None:
    table = Table()
    for column in ("part", "kind", "what it is"):
        table.add_column(column)
    for part in parts:
        for index, kind in enumerate(kinds(part)):
            table.add_row(part if index == 0 else "", Text(kind), Text(meaning(part, kind)))
        table.add_section()
    console().print(table)


def _print_settings(part: str, kind: str | None) -> None:
    if text := meaning(part, kind):
        print_lines(f"{text}.")
    table = Table()
    for column in ("setting", "type", "default", "meaning"):
        table.add_column(column, overflow="fold")
    for setting in settings(part, kind):
        table.add_row(*map(Text, setting))
    if table.row_count:
        console().print(table)
    else:
        print_lines("It has no settings.")
