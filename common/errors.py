"""Errors that the user can mend: one hierarchy, mapped to an exit code once, at the boundary.

The message is one line that says what is wrong, where, and how to fix it. Each class is raised
``from`` its cause where there is one; the command line prints the message alone and exits with 2.
"""


class IrvisError(Exception):
    """A mistake in what the user gave; its text is one line for the user."""


class ConfigError(IrvisError):
    """A configuration key or value is wrong; the text names the dotted key and the choices."""


class DataError(IrvisError):
    """An image, video, label or prediction file is missing or wrong; the text names the file."""


class WeightsError(IrvisError):
    """A checkpoint is missing, damaged, of another network, or holds code."""


class DeviceError(IrvisError):
    """The compute device or scan backend that was asked for cannot be used on this machine."""
