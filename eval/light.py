"""Day or night: from an image's name where it says, else from how bright it is."""

import re
from typing import Literal

Light = Literal["day", "night"]

NIGHT_LUMINANCE = 55.0  # grey levels of 0..255; parts MSRS's labelled pairs 8 to 6
_MSRS_NAME = re.compile(r"\d{5}([DN])")
_KAIST_NAME = re.compile(r"set(\d\d)/V\d{3}/I\d{5}")
_KAIST_DAYS = frozenset(("00", "01", "02", "06", "07", "08"))  # sets, by the page of the data set


def named_light(key: str) -> Light | None:
    """What the names of MSRS and MFNet say (five digits, then D or N), and KAIST's sets."""
    if kaist := _KAIST_NAME.fullmatch(key):
        return "day" if kaist[1] in _KAIST_DAYS else "night"
    match = _MSRS_NAME.fullmatch(key)
    return None if match is None else ("day" if match[1] == "D" else "night")


def light_of(key: str, luminance: float) -> Light:
    """Day or night of a pair: its name's word, else the mean VIS luminance, 0..255."""
    return named_light(key) or ("night" if luminance < NIGHT_LUMINANCE else "day")
