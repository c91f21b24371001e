"""Masks: the label of each pixel, and the regions that are scored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Regions = Mapping[str, frozenset[int]]  # the labels of each region, by its name
Labels = NDArray[np.integer]  # of each pixel or voxel

MEAN = "mean"  # over the regions, in place of a region's name

_MSRS = (
    "background", "car", "person", "bike", "curve", "car_stop", "guardrail", "color_cone", "bump",
)  # fmt: skip
REGIONS: Mapping[str, Regions] = MappingProxyType(
    {
        "msrs": {name: frozenset({label}) for label, name in enumerate(_MSRS)},
        # the enhancing tumour is label 4 until BraTS 2021, 3 since 2023; 3 was not used before
        "brats": {
            "WT": frozenset({1, 2, 3, 4}),
            "TC": frozenset({1, 3, 4}),
            "ET": frozenset({3, 4}),
        },
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The labels of an image (H, W) or a volume (X, Y, Z).

    Attributes:
        labels: Of each pixel or voxel.
        spacing: A voxel's size along each axis; None for images.
        name: Its file, for messages; empty without one.
    """

    labels: Labels
    spacing: tuple[float, ...] | None = None
    name: str = ""


FindMask = Callable[[str], Mask]  # the mask of an image's name


@dataclass(frozen=True, slots=True)
class MaskTask:
    """What masks are scored against.

    Attributes:
        truth: The true mask of an image.
        regions: The regions to score, labels by name.
        ignore: Pixels with this true label do not count.
    """

    truth: FindMask
    regions: Regions
    ignore: int | None = None
