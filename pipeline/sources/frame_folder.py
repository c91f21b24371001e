"""Two folders of images that are recordings: every image has a time, and pairs are found by it."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from pydantic import Field

from common.errors import DataError
from eval.class_names import COCO_NAMES
from pipeline.frames import Frame, Image
from pipeline.images import list_images, read_image
from pipeline.sources._gain import to_display
from pipeline.sources._recordings import Lost, RecordedPairs, Timing
from pipeline.sources._timestamps import image_times, rate_of


class Config(Timing):
    """Two folders of images and the times of each."""

    ir: Path = Field(description="folder of infrared images, 8 or 16 bit")
    vis: Path = Field(description="folder of visible images")
    ir_times: Path = Field(description="csv of infrared times: name,time_ns")
    vis_times: Path = Field(description="csv of visible times: name,time_ns")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> RecordedPairs:
    """The pairs of two folders; they have no labels, so ``names`` names nothing.

    Raises:
        DataError: A folder is missing or empty, or doesn't hold the images of its list of times.
    """

    def streams() -> tuple[FrameFolder, FrameFolder]:
        ir = FrameFolder(config.ir, config.ir_times, to_display(config.ir_range))
        return ir, FrameFolder(config.vis, config.vis_times)

    return RecordedPairs(streams, config)


class FrameFolder:
    """A camera's images in the order of their times; see ``pipeline.sources._recordings.Stream``.

    Attributes:
        rate: Images per second over all of the recording.
        frames: How many images there are.
    """

    def __init__(
        self, folder: Path, times: Path, convert: Callable[[Image], Image] | None = None
    ) -> None:
        """Find the images; none is read yet.

        Args:
            folder: Where they lie.
            times: CSV file with the time of each; see ``pipeline.sources._timestamps``.
            convert: What every image goes through, in order; it must then have 8 bit.

        Raises:
            DataError: The folder holds other images than the file lists.
        """
        self._convert = convert
        found = {path.name: path for path in list_images(folder).values()}
        listed = image_times(times)
        for name in listed:
            if name not in found:
                raise DataError(f"{times}: lists {name}, which is not in {folder}")
        for name in found:
            if name not in listed:
                raise DataError(f"{times}: doesn't list {name}, which is in {folder}")
        self._images = [(found[name], time) for name, time in listed.items()]
        self.frames = len(self._images)
        self.rate = rate_of(list(listed.values())) or Fraction(25)

    def key(self, index: int) -> str:
        """The image's name without its suffix."""
        return self._images[index][0].stem

    def close(self) -> None:
        """Nothing is held."""

    def __iter__(self) -> Iterator[Frame | Lost]:
        for index, (path, time) in enumerate(self._images):
            try:
                image = read_image(path)
            except DataError as error:
                yield Lost(index, str(error))
                continue
            if self._convert is not None:
                image = self._convert(image)
            if image.dtype == np.uint8:
                yield Frame(image, time, index)
            else:
                yield Lost(index, f"{path}: visible images must have 8 bit; convert it")
