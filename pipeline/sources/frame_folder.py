"""Two recordings as folders of images with listed times, paired by time."""

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
from pipeline.sources._plausibility import Plausibility
from pipeline.sources._recordings import RecordedPairs, Timing
from pipeline.sources._stream import CHECK_EVERY, Lost, RecordingInfo
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
        DataError: A folder is missing or empty, both are the same, or its images differ from its
            list of times.
    """
    if config.ir.is_dir() and config.vis.is_dir() and config.ir.samefile(config.vis):
        raise DataError(
            f"source.ir and source.vis are the same folder, {config.ir}; give each camera's own"
        )
    checks = Plausibility()

    def streams() -> tuple[FrameFolder, FrameFolder]:
        ir = FrameFolder(config.ir, config.ir_times, to_display(config.ir_range), checks=checks)
        return ir, FrameFolder(config.vis, config.vis_times, checks=checks)

    return RecordedPairs(streams, config, checks=checks, labels=config.open_labels(names))


class FrameFolder:
    """A camera's images in the order of their times; see ``pipeline.sources._stream.Stream``.

    Attributes:
        rate: Images per second.
        frames: Number of images.
        info: First and last time of the list.
    """

    def __init__(
        self,
        folder: Path,
        times: Path,
        convert: Callable[[Image], Image] | None = None,
        checks: Plausibility | None = None,
    ) -> None:
        """List the images; none is read yet.

        Args:
            folder: Folder of the images.
            times: CSV file with the time of each; see ``pipeline.sources._timestamps``.
            convert: Applied to every infrared image, in order; returns 8 bit. None for visible.
            checks: Receives some of the images.

        Raises:
            DataError: The folder's images differ from those that the file lists.
        """
        self._convert, self._checks = convert, checks
        files = {normalize("NFC", path.name): path for path in list_images(folder).values()}
        listed = image_times(times)
        for name in listed:
            if name not in files:
                raise DataError(f"{times}: lists {name}, which is not in {folder}")
        for name in files:
            if name not in listed:
                raise DataError(f"{times}: doesn't list {name}, which is in {folder}")
        self._images = [(files[name], time) for name, time in listed.items()]
        self.frames = len(self._images)
        moments = list(listed.values())
        self.rate = typical_rate(moments) or Fraction(25)
        self.info = RecordingInfo(0, (moments[0], moments[-1]))

    def key(self, index: int) -> str:
        """The image's name without its suffix."""
        return self._images[index][0].stem

    def close(self) -> None:
        """Do nothing; no file is kept open."""

    def __iter__(self) -> Iterator[Frame | Lost]:
        for index, (path, time) in enumerate(self._images):
            try:
                image = read_image(path)
            except DataError as error:
                yield Lost(index, str(error))
                continue
            if self._checks is not None and index % CHECK_EVERY == 0 and image.dtype == np.uint8:
                self._checks.check("vis" if self._convert is None else "ir", image, path)
            if self._convert is not None:
                image = self._convert(image)
            if image.dtype == np.uint8:
                yield Frame(image, time, index)
            else:
                yield Lost(index, f"{path}: visible images must have 8 bit; convert it")
