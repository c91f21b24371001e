"""Kind `scenes`: generated street scenes, infrared and visible, with exact boxes.

The frames come as short clips, each of another street. Seeds 0 to 49999 are for runs; the demo
detector was validated on seeds from 50000 and trained on seeds from 100000.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from types import TracebackType
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from errors import DataError
from eval.class_names import COCO_NAMES
from eval.labels import Labels
from pipeline.frames import Frame, FramePair
from pipeline.scenes.render import SMALLEST, Clip

_Side = Annotated[int, Field(ge=SMALLEST, le=2048)]


class Config(BaseModel):
    """Generated street scenes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: int = Field(120, ge=1, description="pairs in all")
    seed: int = Field(0, ge=0, description="the same seed gives the same bytes")
    size: tuple[_Side, _Side] = Field((256, 320), description="height, width, pixels")
    frame_rate: float = Field(10.0, ge=0.01, le=1000, description="frames per second")
    time: Literal["day", "night", "both"] = Field("both", description="both: clips alternate")
    clip: int = Field(12, ge=1, description="frames per street")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "ScenesSource":
    """The source; nothing is drawn before it is iterated.

    Raises:
        DataError: ``names`` has other classes at COCO's ids 0, person, and 2, car.
    """
    if (names.get(0), names.get(2)) != ("person", "car"):
        raise DataError("generated scenes need a detector with COCO's ids 0 person and 2 car")
    return ScenesSource(config)


class ScenesSource:
    """Generated pairs; see ``pipeline.interfaces.Source``. Keys are like ``000012_night``."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rate = Fraction(config.frame_rate).limit_denominator(1001)
        self._current: tuple[int, Clip] | None = None

    @property
    def count(self) -> int:
        """Pairs in all."""
        return self._config.frames

    @property
    def frame_rate(self) -> Fraction:
        """Frames per second."""
        return self._rate

    @property
    def has_labels(self) -> bool:
        """Always: the generator knows where everything is."""
        return True

    @property
    def keys(self) -> None:
        """Not known before the end."""

    def check(self) -> None:
        """There is nothing to find: the settings were checked when they were read."""

    def labels(self, key: str, size: tuple[int, int]) -> Labels:
        """Exact boxes with COCO's class ids, 0 person and 2 car.

        Args:
            key: As the iteration gives it.
            size: Height and width; those of the configuration.
        """
        index = int(key.partition("_")[0])
        return self._clip(index // self._config.clip).labels(index % self._config.clip)

    def label_classes(self, key: str) -> NDArray[np.int64]:
        """Class ids of a pair's labels (n,)."""
        return self.labels(key, self._config.size).class_id

    def __iter__(self) -> Iterator[FramePair]:
        for index in range(self._config.frames):
            number, within = divmod(index, self._config.clip)
            scene = self._clip(number).scene(within)
            when = round(index * 1_000_000_000 / self._rate)
            time = "night" if self._night(number) else "day"
            yield FramePair(
                f"{index:06d}_{time}", Frame(scene.ir, when, index), Frame(scene.vis, when, index)
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._current = None

    def _night(self, number: int) -> bool:
        return self._config.time == "night" or (self._config.time == "both" and number % 2 == 1)

    def _clip(self, number: int) -> Clip:
        """A clip of the run; the last one is kept, for painting its street takes long."""
        current = self._current
        if current is None or current[0] != number:
            config = self._config
            clip = Clip(config.seed, number, night=self._night(number), size=config.size,
                        frame_rate=self._rate)  # fmt: skip
            self._current = current = (number, clip)
        return current[1]
