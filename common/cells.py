"""Escapes cells of CSV files against formula injection in spreadsheets.

A spreadsheet runs a cell that begins with = + - or @ as a formula, also after a tab or a carriage
return (OWASP, "CSV injection"). Text that begins so, or with an apostrophe, gets an apostrophe in
front, which marks text in spreadsheets; ``plain`` removes it. Numbers are unchanged.
"""

import re

_RISKY = tuple("=+-@\t\r'")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def cell(value: object) -> object:
    """The escaped value; only text can change."""
    risky = isinstance(value, str) and value.startswith(_RISKY) and not _NUMBER.fullmatch(value)
    return f"'{value}" if risky else value


def plain(text: str) -> str:
    """The text that ``cell`` escaped."""
    return text.removeprefix("'")
