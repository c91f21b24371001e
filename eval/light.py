"""Day or night: from an image's name where it says, else from how bright it is."""

import re
from typing import Literal

Light = Literal["day", "night"]

NIGHT_LUMINANCE = 55.0  # grey levels of 0..255; parts MSRS's labelled pairs 8 to 6
_MSRS_NAME = re.compile(r"\d{5}([DN])")


def named_light(key: str) -> Light | None:
    """What MSRS's names say: five digits, then D or N."""
    match = _MSRS_NAME.fullmatch(key)
    return None if match is None else ("day" if match[1] == "D" else "night")


def light_of(key: str, luminance: float) -> Light:
    """Day or night of a pair: its name's word, else the mean VIS luminance, 0..255."""
    return named_light(key) or ("night" if luminance < NIGHT_LUMINANCE else "day")
