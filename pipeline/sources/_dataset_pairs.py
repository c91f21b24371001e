"""Images and labels of a data set, without what its files have besides them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from common.errors import DataError
from common.modality import CAMERA, Modality
from eval.labels import Labels, LabelSet
from eval.named_labels import NamedLabels
from pipeline.frames import Image
from pipeline.images import read_image
from pipeline.sources._image_pairs import ImagePairs
from pipeline.sources._layout import Layout, Parts


class Bordered(NamedLabels):
    """Labels of images whose border is cut off; what lies in it alone is left out."""

    def __init__(self, labels: LabelSet, names: Mapping[str, Sequence[str]], border: int) -> None:
        """Begin; the first two as ``NamedLabels``, ``border`` is in pixels."""
        super().__init__(labels, names)
        self._border = border

    def get(self, key: str, size: tuple[int, int]) -> Labels:
        """As ``LabelSet.get``; ``size`` is that without border."""
        if not self._border:
            return super().get(key, size)
        height, width = size
        whole = super().get(key, (height + 2 * self._border, width + 2 * self._border))
        bounds = np.array([width, height, width, height], np.float64)
        xyxy, ignore = (
            np.clip(boxes - self._border, 0.0, bounds) for boxes in (whole.xyxy, whole.ignore)
        )
        inside, seen = ((b[:, 2:] > b[:, :2]).all(axis=1) for b in (xyxy, ignore))
        return Labels(xyxy[inside], whole.class_id[inside], ignore[seen])


class DatasetPairs(ImagePairs):
    """Pairs of a data set."""

    def __init__(
        self,
        layout: Layout,
        parts: Parts,
        labels: NamedLabels | None,
        ir_range: tuple[float, float] | None,
        *,
        labels_on: Modality,
        own_labels: Mapping[Modality, NamedLabels],
        border: int,
    ) -> None:
        """Prepare; no image is read yet.

        Args:
            layout: Its layout.
            parts: What of it is there.
            labels: Ground truth, or None.
            ir_range: As ``ImagePairs`` takes it.
            labels_on: Likewise.
            own_labels: Likewise.
            border: Pixels that are cut off on each side of all images.
        """
        super().__init__(
            parts.ir, parts.vis, labels, ir_range, labels_on=labels_on, own_labels=own_labels
        )
        self._layout, self._border = layout, border

    @property
    def title(self) -> str:
        """What the data set calls itself."""
        return self._layout.title

    def image(self, path: Path, camera: Modality) -> Image:
        """The image of a camera without border, of its channels alone.

        Raises:
            DataError: It can't be read, has no border or no fourth channel.
        """
        if self._layout.four_channels:
            return _channels(path, camera)
        image = read_image(path)
        if not self._border:
            return image
        if image.shape[:2] != self._layout.bordered:
            height, width = self._layout.bordered
            raise DataError(
                f"{path}: has {image.shape[1]}x{image.shape[0]} pixels, others {width}x{height} "
                "with their border; crop all or none"
            )
        return np.ascontiguousarray(
            image[self._border : -self._border, self._border : -self._border]
        )

    def _partner_missing(self, key: str) -> str:
        camera: Modality = "vis" if key in self._ir else "ir"
        there = {**self._ir, **self._vis}[key]
        return (
            f"{self.title}: {there} has no {CAMERA[camera]} partner; unpack it once more, or leave "
            "the pair out with run.on_bad_pair=skip"
        )


def _channels(path: Path, camera: Modality) -> Image:
    """Infrared or visible of an image with both, HW or HWC RGB uint8.

    Raises:
        DataError: It has no fourth channel.
    """
    read_image(path)  # its checks
    with PillowImage.open(path) as file:
        pixels = np.asarray(file)
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype != np.uint8:
        raise DataError(f"{path}: has no four channels, of which the last is infrared; see layout")
    return np.ascontiguousarray(pixels[:, :, 3] if camera == "ir" else pixels[:, :, :3])
