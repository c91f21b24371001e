"""Masks: the label of each pixel, and the regions that are scored."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError

Regions = Mapping[str, frozenset[int]]  # the labels of each region, by its name
Labels = NDArray[np.integer]  # of each pixel or voxel

MEAN = "mean"  # over the regions, in place of a region's name

_MSRS = (
    "background", "car", "person", "bike", "curve", "car_stop", "guardrail", "color_cone", "bump",
)  # fmt: skip
REGIONS: Mapping[str, Regions] = MappingProxyType(
    {
        "msrs": {name: frozenset({label}) for label, name in enumerate(_MSRS)},
        # BraTS 2017 to 2021; since 2023 the enhancing tumour has label 3
        "brats": {"WT": frozenset({1, 2, 4}), "TC": frozenset({1, 4}), "ET": frozenset({4})},
        "brats2023": {"WT": frozenset({1, 2, 3}), "TC": frozenset({1, 3}), "ET": frozenset({3})},
    }
)
# by name of the regions, the labels that masks with them have
LABELS: Mapping[str, frozenset[int]] = MappingProxyType(
    {name: frozenset({0}).union(*regions.values()) for name, regions in REGIONS.items()}
)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The labels of an image (H, W) or a volume (X, Y, Z).

    Attributes:
        labels: Of each pixel or voxel.
        spacing: A voxel's size along each axis; None for images.
        name: Its file, for messages; empty without one.
        affine: float64 (4, 4), where NIfTI says that it lies in space; None for images.
    """

    labels: Labels
    spacing: tuple[float, ...] | None = None
    name: str = ""
    affine: NDArray[np.float64] | None = None


FindMask = Callable[[str], Mask]  # the mask of an image's name


@dataclass(frozen=True, slots=True)
class MaskTask:
    """What masks are scored against.

    Attributes:
        truth: The true mask of an image.
        regions: The regions to score, labels by name.
        ignore: Pixels with this true label do not count.
        labels: Those that masks may have; None for any.
    """

    truth: FindMask
    regions: Regions
    ignore: int | None = None
    labels: Collection[int] | None = None

    def check(self, mask: Mask, key: str) -> None:
        """Check a mask's labels, true ones or found ones.

        Raises:
            errors.DataError: It has one that masks may not have.
        """
        if self.labels is not None and (unknown := self._others(mask, self.labels)):
            raise DataError(
                f"{mask.name or key}: has label {unknown[0]}, but the regions are of the labels "
                f"{', '.join(map(str, sorted(self.labels)))}; give regions that have it "
                f"({', '.join(REGIONS)}, or your own), or ignore it"
            )

    def unnamed(self, mask: Mask) -> list[int]:
        """The labels of a true mask that are in no region, without 0 and the ignored one.

        None where masks have the ``labels`` alone, which are those of the regions and 0.
        """
        if self.labels is not None:
            return []
        return self._others(mask, frozenset({0}).union(*self.regions.values()))

    def _others(self, mask: Mask, labels: Collection[int]) -> list[int]:
        """A mask's labels besides some and the ignored one, sorted."""
        known = [*labels] if self.ignore is None else [*labels, self.ignore]
        others: list[int] = np.unique(mask.labels[~np.isin(mask.labels, known)]).tolist()
        return others
