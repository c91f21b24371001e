"""The ground truth that arms are scored on, as columns: made once for all of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from eval.coco_files import AnnotationEntry, GroundTruth, ImageEntry, image_key
from eval.columns import LabelColumns, places, starts
from eval.light import Light, named_light


@dataclass(frozen=True, slots=True, eq=False)
class Annotations:
    """m annotations in the order of their file.

    Attributes:
        image_id: int64 (m,), id of the image.
        category_id: int64 (m,).
        bbox: float64 (m, 4), left, top, width, height in pixels.
        area: float64 (m,), square pixels.
        crowd: bool (m,), which are regions.
    """

    image_id: NDArray[np.int64]
    category_id: NDArray[np.int64]
    bbox: NDArray[np.float64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]

    @classmethod
    def of(cls, entries: Sequence[AnnotationEntry]) -> Self:
        """From the entries of a file."""
        return cls(
            np.array([item["image_id"] for item in entries], np.int64),
            np.array([item["category_id"] for item in entries], np.int64),
            np.array([item["bbox"] for item in entries], np.float64).reshape(-1, 4),
            np.array([item["area"] for item in entries], np.float64),
            np.array([item["iscrowd"] for item in entries], np.bool_),
        )

    def __getitem__(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Annotations":
        """Select by a mask or by indices."""
        return Annotations(*(getattr(self, name)[rows] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What counts of a ground truth.

    Attributes:
        names: The classes, name by id.
        image_ids: int64 (images,).
        lights: Of each image, None where it isn't known.
        annotations: Of these classes.
        labels: The same, image after image.
    """

    names: Mapping[int, str]
    image_ids: NDArray[np.int64]
    lights: Sequence[Light | None]
    annotations: Annotations
    labels: LabelColumns

    @classmethod
    def of(
        cls, ground_truth: "GroundTruth | Truth", classes: Collection[int] | None = None
    ) -> "Truth":
        """From a COCO data set; columns stay as they are.

        Args:
            ground_truth: As ``eval.coco_files.read_ground_truth`` gives it.
            classes: Ids of the classes that count; None for all of the ground truth's.
        """
        if isinstance(ground_truth, Truth):
            return ground_truth
        return cls.of_columns(
            {entry["id"]: entry["name"] for entry in ground_truth["categories"]},
            np.array([image["id"] for image in ground_truth["images"]], np.int64),
            [image_light(image) for image in ground_truth["images"]],
            Annotations.of(ground_truth["annotations"]),
            classes,
        )

    @classmethod
    def of_columns(
        cls,
        names: Mapping[int, str],
        image_ids: NDArray[np.int64],
        lights: Sequence[Light | None],
        annotations: Annotations,
        classes: Collection[int] | None = None,
    ) -> Self:
        """From all of a ground truth's classes and annotations; arguments as the attributes."""
        names = {i: name for i, name in names.items() if classes is None or i in classes}
        counted = annotations[np.isin(annotations.category_id, list(names))]
        return cls(names, image_ids, lights, counted, _labels(image_ids, counted))


def edges(xywh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Left, top, right, bottom (n, 4) of boxes given by left, top, width, height."""
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)


def image_light(image: ImageEntry) -> Light | None:
    """Whether an image is by day or at night, as far as it or its key says so."""
    return image.get("light") or named_light(key_of(image))


def key_of(image: ImageEntry) -> str:
    """The key of an image's pair; where it isn't written, its file name says it."""
    return image.get("key", image_key(image["file_name"]))


def _labels(image_ids: NDArray[np.int64], annotations: Annotations) -> LabelColumns:
    place = places(image_ids, annotations.image_id)  # (m,)
    order = np.argsort(place, kind="stable")
    objects, regions = order[~annotations.crowd[order]], order[annotations.crowd[order]]
    # a region is there once for each class
    ignore = np.column_stack([place[regions], edges(annotations.bbox[regions])])  # (r, 5)
    ignore = np.unique(ignore, axis=0)
    count = len(image_ids)
    return LabelColumns(
        edges(annotations.bbox[objects]),
        annotations.category_id[objects],
        starts(np.bincount(place[objects], minlength=count)),
        ignore[:, 1:],
        starts(np.bincount(ignore[:, 0].astype(np.int64), minlength=count)),
    )
