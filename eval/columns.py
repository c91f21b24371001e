"""Detections and labels of a set of images as columns, image after image, for compiled loops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.labels import Labels
from eval.matching import ignored


@dataclass(frozen=True, slots=True, eq=False)
class LabelColumns:
    """The labels of all images.

    Attributes:
        xyxy: float64 (m, 4), left, top, right, bottom in pixels.
        class_id: int64 (m,).
        start: int64 (images + 1,), where each image begins in these two.
        ignore: float64 (r, 4), regions that count neither way.
        ignore_start: int64 (images + 1,), where each image begins there.
    """

    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    start: NDArray[np.int64]
    ignore: NDArray[np.float64]
    ignore_start: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Sequence[Labels]) -> Self:
        """From one entry an image."""
        return cls(
            np.concatenate([np.zeros((0, 4)), *(one.xyxy for one in labels)]),
            np.concatenate([np.zeros(0, np.int64), *(one.class_id for one in labels)]),
            starts([len(one) for one in labels]),
            np.concatenate([np.zeros((0, 4)), *(one.ignore for one in labels)]),
            starts([len(one.ignore) for one in labels]),
        )

    def __len__(self) -> int:
        return len(self.start) - 1

    def __getitem__(self, image: int) -> Labels:
        """The labels of one image."""
        mine = slice(self.start[image], self.start[image + 1])
        regions = slice(self.ignore_start[image], self.ignore_start[image + 1])
        return Labels(self.xyxy[mine], self.class_id[mine], self.ignore[regions])

    @property
    def image(self) -> NDArray[np.int32]:
        """Of each label, (m,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.start))


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The detections of all images that count, best score first within each, and the labels.

    Attributes:
        found: n detections.
        start: int64 (images + 1,), where each image begins in them.
        labels: m labels.
    """

    found: Detections
    start: NDArray[np.int64]
    labels: LabelColumns

    @classmethod
    def of(cls, detections: Sequence[Detections], labels: Sequence[Labels]) -> "Columns":
        """From one entry an image of both, the same images in the same order.

        Raises:
            ValueError: The lengths differ.
        """
        if len(detections) != len(labels):
            raise ValueError(f"{len(detections)} images have detections, {len(labels)} labels")
        image = np.repeat(np.arange(len(labels)), [len(found) for found in detections])
        return cls.sort(Detections.concatenate(list(detections)), image, LabelColumns.of(labels))

    @classmethod
    def sort(cls, found: Detections, image: NDArray[np.int64], labels: LabelColumns) -> "Columns":
        """From detections in any order.

        Args:
            found: n detections; those that ``eval.matching.ignored`` names are left out.
            image: (n,), place of each one's image in the labels.
            labels: The labels of all images.
        """
        order = np.lexsort((-found.score, image))
        found, start = found[order], starts(np.bincount(image, minlength=len(labels)))
        out = np.zeros(len(found), np.bool_)
        for number in np.flatnonzero(np.diff(labels.ignore_start)).tolist():
            rows = np.arange(start[number], start[number + 1])
            out[rows] = ignored(found[rows], labels[number])
        if not out.any():
            return cls(found, start, labels)
        return cls(found, start, labels).chosen(~out)

    def chosen(self, mask: NDArray[np.bool_]) -> "Columns":
        """With the detections of a mask (n,) alone."""
        before = np.concatenate([[0], mask.cumsum()])  # how many are kept of the first 0... n
        return Columns(self.found[mask], before[self.start], self.labels)

    @property
    def image(self) -> NDArray[np.int32]:
        """Of each detection, (n,)."""
        return np.repeat(np.arange(len(self.labels), dtype=np.int32), np.diff(self.start))

    @property
    def place(self) -> NDArray[np.int64]:
        """Of each detection in its image, from 0: (n,)."""
        return np.arange(len(self.found)) - np.repeat(self.start[:-1], np.diff(self.start))


def starts(counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of so many rows begins, and the end: (i,) -> (i + 1,)."""
    return np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))])


def places(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of the ``wanted`` (n,) stands among distinct ids: (n,).

    Raises:
        KeyError: One isn't there.
    """
    order = np.argsort(ids, kind="stable")
    at = np.searchsorted(ids, wanted, sorter=order)
    strange = at == len(ids)
    strange[~strange] = ids[order[at[~strange]]] != wanted[~strange]
    if strange.any():
        raise KeyError(int(wanted[strange][0]))
    return order[at]
