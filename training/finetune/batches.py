"""Batches of augmented images with their labels, a function of seed and step alone.

All arms get the same crops, mosaics, flips and changes of brightness, since these depend on nothing
but the images' sizes, the seed and the step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from eval.labels import Labels
from training.source_config import Section

GREY = 114  # beyond an image's borders, as in the detector's letterbox
SHOWN = 0.4  # least share of an object in a crop; with less it is a region to ignore
LEAST_SIDE = 2.0  # pixels of an object; a smaller one is a region to ignore
CENTRE = (0.3, 0.7)  # where the four images of a mosaic meet, of its side
_Share = Annotated[float, Field(ge=0, le=1)]
_Image = NDArray[np.uint8]  # [H, W, C]
_Boxes = NDArray[np.float64]  # [n, 4]


class AugmentConfig(Section):
    """Augmentation, the same for all arms; half of the images are also mirrored."""

    zoomed: float = Field(1.5, ge=1, le=4, description="largest factor between scales")
    mosaic: _Share = Field(0.5, description="share of images that four others are put into")
    brightness: _Share = Field(0.3, description="largest change of gain, and of gamma")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The images of a step.

    Attributes:
        images: uint8 [B, C, S, S].
        objects: float32 [n, 6]: image, class, left, top, right, bottom in pixels.
        regions: float32 [m, 5], to ignore: image, left, top, right, bottom.
    """

    images: Tensor
    objects: Tensor
    regions: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Copy the batch to a device."""
        return Batch(self.images.to(device), self.objects.to(device), self.regions.to(device))


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An image [H, W, C] with its labels."""

    image: _Image
    labels: Labels


class Batches:
    """Makes the batch of a step."""

    def __init__(
        self,
        images: Sequence[_Image],
        labels: Sequence[Labels],
        augment: AugmentConfig,
        *,
        side: int,
        scaled: int,
        batch: int,
        seed: int,
    ) -> None:
        """Prepare.

        Args:
            images: uint8 [H, W, C] each.
            labels: Of each image, in its pixels.
            augment: The augmentation.
            side: S, pixels of a batch's images.
            scaled: Longest side of an image at scale 1, as the detector sees it; pixels.
            batch: Images of a batch.
            seed: Of all that is random.
        """
        self._images, self._labels, self._augment = images, labels, augment
        self._side, self._scaled, self._batch, self._seed = side, scaled, batch, seed

    @property
    def in_epoch(self) -> int:
        """Steps of an epoch, in which each image is drawn once."""
        return -(-len(self._images) // self._batch)

    def __call__(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        epoch, number = divmod(step, self.in_epoch)
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._images))
        # the last batch of an epoch takes its first images again
        chosen = np.resize(order, self.in_epoch * self._batch)[number * self._batch :]
        rng = np.random.default_rng([self._seed, epoch, number])
        samples = [self._draw(int(index), rng) for index in chosen[: self._batch]]
        images = np.stack([sample.image for sample in samples]).transpose(0, 3, 1, 2)
        objects, regions = [], []
        for image, sample in enumerate(samples):
            mine = sample.labels
            where = np.full((len(mine), 1), image)
            objects.append(np.hstack((where, mine.class_id[:, None], mine.xyxy)))
            regions.append(np.insert(mine.ignore, 0, image, axis=1))
        return Batch(
            torch.from_numpy(np.ascontiguousarray(images)),
            torch.from_numpy(np.concatenate(objects)).float(),
            torch.from_numpy(np.concatenate(regions)).float(),
        )

    def _draw(self, index: int, rng: np.random.Generator) -> Sample:
        """An image of the side S: a part of one, or a mosaic of parts of four."""
        side = self._side
        if rng.random() < self._augment.mosaic:
            others = rng.integers(len(self._images), size=3)
            row, column = (int(side * rng.uniform(*CENTRE)) for _ in range(2))
            sizes = ((row, column), (row, side - column), (side - row, column),
                     (side - row, side - column))  # fmt: skip
            sample = _mosaic(
                [self._part(int(i), s, rng) for i, s in zip((index, *others), sizes, strict=True)]
            )
        else:
            sample = self._part(index, (side, side), rng)
        image, labels = sample.image, sample.labels
        if rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])
            labels = Labels(_mirrored(labels.xyxy, side), labels.class_id,
                            _mirrored(labels.ignore, side))  # fmt: skip
        return Sample(self._levels(rng)[image], labels)

    def _part(self, index: int, size: tuple[int, int], rng: np.random.Generator) -> Sample:
        """A random part of an image, of this height and width, at a random scale."""
        image, labels = self._images[index], self._labels[index]
        zoom = self._augment.zoomed ** rng.uniform(-1, 1)
        scale = self._scaled / max(image.shape[:2]) * zoom
        room = np.array(size[::-1]) - scale * np.array(image.shape[1::-1])  # x, y
        offset = room * rng.random(2)  # negative where the image is larger than the part
        shown = _warped(image, scale, offset, size)
        return Sample(shown, _moved(labels, scale, offset, size))

    def _levels(self, rng: np.random.Generator) -> _Image:
        """The table of grey levels of a random gain and gamma, uint8 [256]."""
        most = self._augment.brightness
        gain, gamma = 1 + most * rng.uniform(-1, 1), (1 + most) ** rng.uniform(-1, 1)
        levels = 255 * gain * (np.arange(256) / 255) ** gamma
        return np.asarray(np.rint(levels.clip(0, 255)), np.uint8)


def _warped(
    image: _Image, scale: float, offset: NDArray[np.float64], size: tuple[int, int]
) -> _Image:
    """Scale an image [H, W, C] and move its corner to the offset x, y: [h, w, C]."""
    # pixel centres are at whole numbers
    shift = offset + (scale - 1) / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    parts = [  # OpenCV warps at most four channels
        cv2.warpAffine(
            np.ascontiguousarray(image[..., start : start + 3]),
            matrix,
            size[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(GREY, GREY, GREY),
        )
        for start in range(0, image.shape[2], 3)
    ]
    return np.concatenate(parts, axis=2, dtype=np.uint8)


def _moved(
    labels: Labels, scale: float, offset: NDArray[np.float64], size: tuple[int, int]
) -> Labels:
    """The labels of a part of an image; objects of which little is left become regions."""
    corner, limit = np.tile(offset, 2), np.tile(size[::-1], 2)
    whole = labels.xyxy * scale + corner
    boxes = whole.clip(0, limit)
    regions = (labels.ignore * scale + corner).clip(0, limit)
    kept = (_area(boxes) >= SHOWN * _area(whole)) & (_sides(boxes).min(1, initial=np.inf)
                                                     >= LEAST_SIDE)  # fmt: skip
    regions = np.concatenate((regions, boxes[~kept]))
    return Labels(boxes[kept], labels.class_id[kept], regions[_area(regions) > 0])


def _mosaic(parts: Sequence[Sample]) -> Sample:
    """Join the upper left, upper right, lower left and lower right part."""
    (row, column), rows = parts[0].image.shape[:2], []
    for left, right in (parts[:2], parts[2:]):
        rows.append(np.hstack((left.image, right.image)))
    corners = ((0, 0), (column, 0), (0, row), (column, row))  # x, y
    moved = [
        Labels(
            part.labels.xyxy + np.tile(corner, 2),
            part.labels.class_id,
            part.labels.ignore + np.tile(corner, 2),
        )
        for part, corner in zip(parts, corners, strict=True)
    ]
    labels = Labels(
        np.concatenate([part.xyxy for part in moved]),
        np.concatenate([part.class_id for part in moved]),
        np.concatenate([part.ignore for part in moved]),
    )
    return Sample(np.vstack(rows), labels)


def _sides(boxes: _Boxes) -> _Boxes:
    return np.asarray(boxes[:, 2:] - boxes[:, :2])


def _area(boxes: _Boxes) -> NDArray[np.float64]:
    return np.asarray(_sides(boxes).clip(0).prod(axis=1))


def _mirrored(boxes: _Boxes, side: int) -> _Boxes:
    mirrored = boxes.copy()
    mirrored[:, [0, 2]] = side - boxes[:, [2, 0]]
    return mirrored
