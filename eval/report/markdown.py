"""Cells and rows of Markdown tables."""

from collections.abc import Mapping, Sequence
from typing import Any


def value(number: float | None, interval: Sequence[float] | None, sign: str = "") -> str:
    """A number with its interval; a dash for None.

    Args:
        number: The number.
        interval: Its ends.
        sign: "+" shows a plus too.
    """
    if number is None:
        return "–"
    shown = f"{number:{sign}.3f}"
    if interval is None:
        return shown
    return f"{shown} ({interval[0]:{sign}.3f} to {interval[1]:{sign}.3f})"


def difference(entry: Mapping[str, Any] | None) -> str:
    """A difference with its interval, and the verdict if there is one; empty for None."""
    if entry is None:
        return ""
    shown = value(entry["difference"], entry["ci95"], "+")
    return shown if entry["verdict"] in (None, "no evidence") else f"{shown} **{entry['verdict']}**"


def row(cells: Sequence[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"
