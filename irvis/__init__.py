"""irvis from Python: run, open and compare runs, fuse, detect, measure.

    >>> import irvis
    >>> run = irvis.run("demo", {"source.frames": 2, "run.name": "two"}, progress=False)
    >>> run.table.index.tolist()
    ['unet', 'fused', 'ir', 'vis', 'average', 'late']
    >>> run.compare("unet", "average").columns.tolist()
    ['difference', 'low', 'high', 'verdict']

Everything here calls what the command line calls, with the same checks and the same numbers. An
error in the input is an ``IrvisError`` with a text of one line.
"""

from common.errors import ConfigError, DataError, DeviceError, IrvisError, WeightsError
from detection.boxes import Detections
from irvis.networks import Detector, Fuser, detector, fuser
from irvis.runs import Run, compare, open_run, run
from irvis.scores import Scores, evaluate
from irvis.sources import quality, source
from pipeline.frames import BadPair, Dropped, Frame, FramePair

open = open_run  # noqa: A001  (irvis.open)

__all__ = [
    "BadPair",
    "ConfigError",
    "DataError",
    "Detections",
    "Detector",
    "DeviceError",
    "Dropped",
    "Frame",
    "FramePair",
    "Fuser",
    "IrvisError",
    "Run",
    "Scores",
    "WeightsError",
    "compare",
    "detector",
    "evaluate",
    "fuser",
    "open",
    "quality",
    "run",
    "source",
]
