"""Kind `phantoms`: generated slices of a brain, FLAIR as infrared and T2 as visible, with masks.

They stand in for medical data that can't be had; see ``scenes.phantoms`` for what they are not.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from eval.class_names import COCO_NAMES
from pipeline.frames import Frame, FramePair
from pipeline.interfaces import Source
from scenes import phantoms

_Side = Annotated[int, Field(ge=32, le=2048)]


class Config(BaseModel):
    """Generated slices of a brain, FLAIR as infrared and T2 as visible, with tumours and masks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slices: int = Field(40, ge=1, description="pairs in all")
    seed: int = Field(0, ge=0, description="the same seed gives the same bytes")
    size: tuple[_Side, _Side] = Field((128, 128), description="height, width, pixels")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "PhantomSource":
    """The source; nothing is drawn before it is iterated. Boxes have no part in it."""
    return PhantomSource(config)


class PhantomSource(Source):
    """Pairs of one slice each, with keys like ``000012``."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.masks = self._mask

    @property
    def count(self) -> int:
        """Pairs in all."""
        return self._config.slices

    @property
    def keys(self) -> Sequence[str]:
        """The keys of all pairs."""
        return [_key(number) for number in range(self._config.slices)]

    def __iter__(self) -> Iterator[FramePair]:
        for number, key in enumerate(self.keys):
            slice_ = self._draw(number)
            flair, t2 = Frame(slice_.flair, None, number), Frame(slice_.t2, None, number)
            yield FramePair(key, ir=flair, vis=t2, index=number)

    def _mask(self, key: str) -> NDArray[np.uint8]:
        """The labels of a pair's pixels, uint8 [H, W], drawn again."""
        return self._draw(int(key)).labels

    def _draw(self, number: int) -> phantoms.Phantom:
        return phantoms.draw(self._config.seed, number, self._config.size)


def _key(number: int) -> str:
    return f"{number:06d}"
