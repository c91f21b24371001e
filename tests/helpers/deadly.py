"""The toy detector, but for some pairs it kills its process, as lack of memory does.

It is a component of the user's own: `kind: tests.helpers.deadly`.
"""

import os
import signal
from pathlib import Path

from tests.helpers import toys


class Config(toys.Config):
    """Where to look: `<left edge of the box>` is a file with the number of deaths to come."""

    folder: Path


def build(config, *, device):
    return Deadly(config.folder)


class Deadly(toys.BrightBox):
    def __init__(self, folder):
        self._folder = folder

    def _one(self, grey):
        found = super()._one(grey)
        for left in found.xyxy[:, 0].astype(int):
            path = self._folder / str(left)
            if path.exists() and (deaths := int(path.read_text())):
                path.write_text(str(deaths - 1))
                os.kill(os.getpid(), signal.SIGKILL)
        return found


def left(number):
    """The left edge of the box of a pair of ``toys.write_pairs``."""
    return 5 + 4 * number
