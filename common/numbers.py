"""Numbers in text files, as every program reads them.

Python alone takes `1_0` for 10 and digits of any script.
"""

import re

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?|[+-]?(?:nan|inf)", re.IGNORECASE
)


def whole(text: str) -> int:
    """The whole number that a text is.

    Raises:
        ValueError: It is none, or has more than 18 digits.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"not a whole number: {text[:80]!r}")
    return int(text)


def decimal(text: str) -> float:
    """The number that a text is; NaN and infinity too, which are the caller's to refuse.

    Raises:
        ValueError: It is none.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"not a number: {text[:80]!r}")
    return float(text)
