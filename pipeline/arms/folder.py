"""An arm of ready-made fused images, by key: somebody else's results."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from common.component import ArmConfig
from common.errors import DataError
from pipeline.images import list_images, read_image, to_rgb
from pipeline.interfaces import Arm


class Config(ArmConfig):
    """A folder of fused images with the pairs' stems."""

    reads_images = True

    root: Path = Field(description="folder of 8-bit images, one a pair, named by the pair's key")


def build(config: Config) -> "FolderArm":
    """The arm.

    Raises:
        DataError: The folder is missing or has no images.
    """
    return FolderArm(config)


class FolderArm(Arm):
    """Ready-made images.

    They are read with the pairs, so that a missing one is a bad pair for every arm, and travel in
    the batch (``PairBatch.ready``).
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._root = config.root
        self._images = list_images(config.root)

    def check(self, keys: Collection[str]) -> None:
        """Refuse a folder that lacks the image of one of the pairs.

        Raises:
            DataError: An image is missing.
        """
        for key in keys:
            if key not in self._images:
                raise DataError(f"{self._root}: no fused image for pair {key}")

    def read(self, key: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The image of a pair, HWC RGB uint8.

        Raises:
            DataError: There is none, it can't be read, or its size is not the pair's.
        """
        if key not in self._images:
            raise DataError(f"{self._root}: no fused image for pair {key}")
        image = read_image(self._images[key])
        if image.dtype != np.uint8:
            raise DataError(f"{self._images[key]}: must be an 8-bit image")
        if image.shape[:2] != size:
            raise DataError(
                f"{self._images[key]}: is {image.shape[1]}x{image.shape[0]}, its pair is "
                f"{size[1]}x{size[0]}; fuse at the pair's own size"
            )
        return to_rgb(image)
