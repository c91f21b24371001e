"""Imported by the process that others are forked from: what each of them would load again.

A run imports what its end needs, and loads compiled code: over a second of each child.
"""

import tempfile
import threading
from pathlib import Path

import cv2

from tests.helpers import toy_recording
from tests.helpers.runs import execute

cv2.setNumThreads(1)  # else OpenCV's threads would be missing in the forks
with tempfile.TemporaryDirectory() as _folder:
    execute(toy_recording.settings(Path(_folder) / "run", frames=4))
assert threading.active_count() == 1  # a fork has none of the threads, but their locks
