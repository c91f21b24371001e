"""Two folders of images that are recordings: every image has a time, and pairs are found by it."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from unicodedata import normalize

import numpy as np
from pydantic import Field

from common.errors import DataError
from eval.class_names import COCO_NAMES
from pipeline.frames import Frame, Image
from pipeline.images import list_images, read_image
from pipeline.sources._frame_labels import Labelled
from pipeline.sources._gain import to_display
from pipeline.sources._looks import Looks
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._stream import LOOK_EVERY, About, Lost
from pipeline.sources._timestamps import image_times, typical_rate


class Config(Timing, Labelled):
    """Two folders of images and the times of each."""

    ir: Path = Field(description="folder of infrared images, 8 or 16 bit or float")
    vis: Path = Field(description="folder of visible images")
    ir_times: Path = Field(description="csv of infrared times: name,time_ns")
    vis_times: Path = Field(description="csv of visible times: name,time_ns")


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> RecordedPairs:
    """The pairs of two folders; the labels' classes are those of ``names``.

    Raises:
        DataError: A folder is missing or empty or is both cameras', or doesn't hold the images of
            its list of times.
    """
    if config.ir.is_dir() and config.vis.is_dir() and config.ir.samefile(config.vis):
        raise DataError(
            f"source.ir and source.vis are the same folder, {config.ir}; give each camera's own"
        )
    looks = Looks()

    def streams() -> tuple[FrameFolder, FrameFolder]:
        ir = FrameFolder(config.ir, config.ir_times, to_display(config.ir_range), looks=looks)
        return ir, FrameFolder(config.vis, config.vis_times, looks=looks)

    return RecordedPairs(streams, config, looks=looks, labels=config.open_labels(names))


class FrameFolder:
    """A camera's images in the order of their times; see ``pipeline.sources._recordings.Stream``.

    Attributes:
        rate: Images per second over all of the recording.
        frames: How many images there are.
        about: From when to when the list goes.
    """

    def __init__(
        self,
        folder: Path,
        times: Path,
        convert: Callable[[Image], Image] | None = None,
        looks: Looks | None = None,
    ) -> None:
        """Find the images; none is read yet.

        Args:
            folder: Where they lie.
            times: CSV file with the time of each; see ``pipeline.sources._timestamps``.
            convert: What infrared goes through, in order; it must then have 8 bit.
            looks: Is shown some of the images.

        Raises:
            DataError: The folder holds other images than the file lists.
        """
        self._convert, self._looks = convert, looks
        found = {normalize("NFC", path.name): path for path in list_images(folder).values()}
        listed = image_times(times)
        for name in listed:
            if name not in found:
                raise DataError(f"{times}: lists {name}, which is not in {folder}")
        for name in found:
            if name not in listed:
                raise DataError(f"{times}: doesn't list {name}, which is in {folder}")
        self._images = [(found[name], time) for name, time in listed.items()]
        self.frames = len(self._images)
        moments = list(listed.values())
        self.rate = typical_rate(moments) or Fraction(25)
        self.about = About(0, (moments[0], moments[-1]))

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
            if self._looks is not None and index % LOOK_EVERY == 0 and image.dtype == np.uint8:
                self._looks.see("vis" if self._convert is None else "ir", image, path)
            if self._convert is not None:
                image = self._convert(image)
            if image.dtype == np.uint8:
                yield Frame(image, time, index)
            else:
                yield Lost(index, f"{path}: visible images must have 8 bit; convert it")
