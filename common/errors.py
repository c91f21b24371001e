"""Errors that the user can fix.

The message is one line that says what is wrong, where, and how to fix it. Each class is raised
``from`` its cause if there is one; the command line prints the message alone and exits with 2.
Messages mask secrets in addresses and have at most ``LONGEST`` characters.
"""

import re
import reprlib

LONGEST = 2000  # characters of a message
QUOTED = 80  # characters of a value in it
# An address up to the @ after its user and password; `Path` turns two slashes into one.
# A scheme of one letter and one slash is a drive of Windows.
_SCHEME = r"(?:[A-Za-z][A-Za-z0-9+.-]{1,20}:/|[A-Za-z]:/(?=/))/{0,2}"
_LOGIN = re.compile(rf"({_SCHEME})(?:\S{{0,1000}}@|[^/\n]{{0,200}}@)")
_BARE_LOGIN = re.compile(r"[^\s/:@]{1,100}:[^\s/@]{1,200}@")  # where the scheme was forgotten
_QUERY = re.compile(rf"({_SCHEME}[^\s?]{{0,1000}})\?(?!\*\*\*)[^\s'\")\]]+")


def mask(text: str) -> str:
    """The text without users, passwords and queries in addresses."""
    without_login = _BARE_LOGIN.sub("***@", _LOGIN.sub(r"\1***@", text))
    return _QUERY.sub(r"\1?***", without_login)


def shown(value: object) -> str:
    """A value for a message: its ``repr``, masked, of at most ``QUOTED`` characters."""
    return cut(mask(_quote.repr(value)))


def cut(text: str, most: int = QUOTED) -> str:
    """Shorten a text to ``most`` characters, with an ellipsis in its middle."""
    if len(text) <= most:
        return text
    head = 2 * most // 3
    return f"{text[:head]}…{text[head + 1 - most :]}"


def one_line(text: str) -> str:
    """A message for the user: on one line, masked, of at most ``LONGEST`` characters."""
    line = " ".join(cut(text, 10 * LONGEST).split())
    return cut(mask(line), LONGEST)


class _Quote(reprlib.Repr):
    """``repr`` in bounded time and size: aliases make the value of a small YAML file huge."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 10 * QUOTED, QUOTED
        self.maxlong = self.maxlist = self.maxtuple = self.maxdict = self.maxset = QUOTED // 8

    def repr_str(self, x: str, level: int) -> str:
        """Text, masked before it is shortened."""
        return repr(cut(mask(cut(x, self.maxstring))))

    def repr_int(self, x: int, level: int) -> str:
        """A whole number; Python refuses to print one with thousands of digits."""
        return repr(x) if x.bit_length() < 1000 else f"a number of {x.bit_length()} bits"


_quote = _Quote()


class IrvisError(Exception):
    """An error in the user's input; its text is one line for the user."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class ConfigError(IrvisError):
    """A configuration key or value is wrong; the text names the dotted key and the choices."""


class DataError(IrvisError):
    """An image, video, label or prediction file is missing or wrong; the text names the file."""


class WeightsError(IrvisError):
    """A checkpoint is missing, damaged, for a different network, or contains code."""


class DeviceError(IrvisError):
    """The requested compute device or scan backend cannot be used on this machine."""
