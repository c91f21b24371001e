"""Cells of CSV files that spreadsheets take for what they are.

A spreadsheet runs a cell that begins with = + - or @ as a formula, also behind a tab or a carriage
return (OWASP, "CSV injection"). Text that begins so, or with an apostrophe, gets an apostrophe in
front, which spreadsheets take as "this is text"; ``plain`` takes it away again. Numbers stay as
they are.
"""

import re

_RISKY = tuple("=+-@\t\r'")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def cell(value: object) -> object:
    """What is written for a value; only text can change."""
    risky = isinstance(value, str) and value.startswith(_RISKY) and not _NUMBER.fullmatch(value)
    return f"'{value}" if risky else value


def plain(text: str) -> str:
    """The text for which ``cell`` wrote this."""
    return text.removeprefix("'")
