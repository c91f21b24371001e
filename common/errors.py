"""Errors that the user can fix.

The message is one line that says what is wrong, where, and how to fix it. An error is raised
``from`` its cause if it has one. The command line prints the message alone and exits with code 2.
"""


class IrvisError(Exception):
    """An error in the user's input; its text is one line for the user."""


class ConfigError(IrvisError):
    """A configuration key or value is wrong; the text names the dotted key and the choices."""


class DataError(IrvisError):
    """An image, video, label or prediction file is missing or wrong; the text names the file."""


class WeightsError(IrvisError):
    """A checkpoint is missing, damaged, for a different network, or contains code."""


class DeviceError(IrvisError):
    """The requested compute device or scan backend cannot be used on this machine."""
