"""What the labels say of one image, before its size and the classes of the run are known."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError
from eval.class_map import SourceClass


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """What the labels say of one image.

    Attributes:
        xyxy: float64 (n, 4), left, top, right, bottom, in pixels; where ``normalised``, in
            fractions of the image's width and height.
        classes: n entries.
        ignore: bool (n,), which ones are regions that count neither way.
        source: The file, for messages.
        size: Height and width, where the labels state them.
        normalised: Whether boxes are fractions.
        problem: What is wrong with the file, where reading it was deferred.
    """

    xyxy: NDArray[np.float64]
    classes: Sequence[SourceClass]
    ignore: NDArray[np.bool_]
    source: str
    size: tuple[int, int] | None = None
    normalised: bool = False
    problem: DataError | None = None

    @classmethod
    def of(
        cls,
        objects: Sequence[tuple[SourceClass, Sequence[float], bool]],
        source: str,
        *,
        size: tuple[int, int] | None = None,
        normalised: bool = False,
        problem: DataError | None = None,
    ) -> Self:
        """From classes, boxes and whether each is a region to ignore."""
        return cls(
            np.array([box for _, box, _ in objects], np.float64).reshape(-1, 4),
            [source_class for source_class, _, _ in objects],
            np.array([ignore for _, _, ignore in objects], bool),
            source,
            size,
            normalised,
            problem,
        )

    def distinct(self) -> NDArray[np.intp]:
        """Indices of the objects without those that repeat another one, in order."""
        first: dict[tuple[object, ...], int] = {}
        boxes = zip(self.classes, self.ignore.tolist(), self.xyxy.tolist(), strict=True)
        for index, (source_class, ignore, box) in enumerate(boxes):
            first.setdefault((source_class, ignore, *box), index)
        return np.array(list(first.values()), np.intp)


def digest(images: Mapping[str, LabelledImage], ignore: Mapping[str, NDArray[np.float64]]) -> str:
    """Hash of what labels say of all images, and of further regions to ignore by image."""
    found = hashlib.sha256()
    for name, image in sorted(images.items()):
        said = (name, image.size, image.normalised, image.classes, image.xyxy.tolist())
        found.update(repr((*said, image.ignore.tolist())).encode())
    for name, regions in sorted(ignore.items()):
        found.update(repr((name, regions.tolist())).encode())
    return found.hexdigest()


def flat(xyxy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes (n, 4) have no area: (n,)."""
    return np.asarray((xyxy[:, 2:] <= xyxy[:, :2]).any(axis=1))
