"""Strict parsing of numbers in text files.

Python's own ``int`` and ``float`` also accept `1_0` and non-ASCII digits.
"""

import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?|[+-]?(?:nan|inf)", re.IGNORECASE
)


def whole(text: str) -> int:
    """Parse a whole number.

    Raises:
        ValueError: The text is no whole number, or has more than 18 digits.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"not a whole number: {text[:80]!r}")
    return int(text)


def decimal(text: str) -> float:
    """Parse a number; NaN and infinity are allowed.

    Raises:
        ValueError: The text is no number.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"not a number: {text[:80]!r}")
    return float(text)
