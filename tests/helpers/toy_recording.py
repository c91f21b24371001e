"""Two recordings that are drawn as they are read, with the faults that a test asks for.

It is a component of the user's own: `kind: tests.helpers.toy_recording`.
"""

import time
from fractions import Fraction

import numpy as np
from pydantic import BaseModel, ConfigDict

from pipeline.frames import Frame
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._stream import Lost, RecordingInfo
from tests.helpers.toys import HEIGHT, WIDTH

RATE = 10  # frames per second
PAUSE_S = 0.0  # that each frame takes to decode; a test may change it


class Faults(BaseModel):
    """What is wrong with a camera; moments count from 0, a span ends before its second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    black: tuple[int, int] = (0, 0)
    frozen: tuple[int, int] = (0, 0)
    missing: tuple[int, ...] = ()  # never recorded
    lost: tuple[int, ...] = ()  # recorded, and damaged
    small: tuple[int, ...] = ()  # of another size
    end: int | None = None  # the recording ends before this moment
    torn: int | None = None  # likewise, in the middle of a frame
    bug: int | None = None  # the decoder raises what nobody expects


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = 40
    ir: Faults = Faults()
    vis: Faults = Faults()


def build(config, names):
    def streams():
        ir = Camera("ir", config.ir, config.frames)
        return ir, Camera("vis", config.vis, config.frames)

    return RecordedPairs(streams, Timing())


class Camera:
    """See ``pipeline.sources._recordings.Stream``."""

    rate, info = Fraction(RATE), RecordingInfo()

    def __init__(self, name, faults, frames):
        self._name, self._faults = name, faults
        self._moments = frames if faults.end is None else min(faults.end, frames)
        self.frames = self._moments - len(set(faults.missing) & set(range(self._moments)))

    def key(self, index):
        return f"{index:06d}"

    def close(self):
        pass

    def __iter__(self):
        faults, index = self._faults, -1
        for moment in range(self._moments):
            time.sleep(PAUSE_S)
            if moment in faults.missing:
                continue
            index += 1
            if moment == faults.bug:
                raise RuntimeError(f"{self._name}: the decoder has a bug at {moment}")
            if moment == faults.torn:
                yield Lost(None, f"{self._name}: is torn off")
                return
            if moment in faults.lost:
                yield Lost(index, f"{self._name}: frame {index} is damaged")
            else:
                yield Frame(self._image(moment), moment * 10**9 // RATE, index)

    def _image(self, moment):
        faults = self._faults
        begin, end = faults.frozen
        picture = draw(self._name, begin if begin <= moment < end else moment)
        if faults.black[0] <= moment < faults.black[1]:
            picture[:] = 0
        return picture[: HEIGHT // 2, : WIDTH // 2] if moment in faults.small else picture


def draw(camera, moment):
    """Noise with a bright box that moves; the visible camera doesn't see it at every third moment.

    The boxes of the two cameras differ by a pixel.
    """
    channels = (3,) if camera == "vis" else ()
    image = np.random.default_rng([len(camera), moment]).integers(
        20, 60, (HEIGHT, WIDTH, *channels), np.uint8
    )
    if camera == "ir" or moment % 3:
        x, y = 5 + moment % 40 + (camera == "vis"), 10 + moment % 9
        image[y : y + 20, x : x + 12] = 250 - moment % 30
    return image


def settings(folder, **source):
    """A configuration that runs in no time, with every sink, into a folder."""
    return {
        "run": {"name": "toy", "dir": str(folder)},
        "source": {"kind": "tests.helpers.toy_recording", **source},
        "arms": {
            "fused": {"kind": "maximum"},
            "ir": {"kind": "ir_only"},
            "vis": {"kind": "vis_only"},
            "late": {"kind": "late", "arms": ["ir", "vis"]},
        },
        "detector": {"kind": "tests.helpers.toys"},
        "compute": {"device": "cpu", "batch": 4},
        "sinks": {
            "results": {"kind": "results"},
            "log": {"kind": "jsonl"},
            "table": {"kind": "parquet"},
            "tracks": {"kind": "mot"},
            "film": {"kind": "video"},
            "saved": {"kind": "images"},
        },
    }
