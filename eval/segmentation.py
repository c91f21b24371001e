"""Segmentation scored by regions: IoU, Dice, sensitivity, and the 95% Hausdorff distance.

A region is a set of label values: one class, or several labels such as those of BraTS's whole
tumour; regions may overlap. With TP, FP and FN the pixels of a region that are found, wrongly found
and missed:

    IoU = TP / (TP + FP + FN), Dice = 2 TP / (2 TP + FP + FN), sensitivity = TP / (TP + FN)

``iou``, ``dice`` and ``sensitivity`` are of the pixels of all images together, as in torchmetrics
and in scene segmentation. ``image_dice`` is the mean over images of each one's Dice, and ``hd95``
of its distance, as in MONAI and in medical segmentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from common.errors import DataError
from eval.masks import Labels, Regions

STATISTICS = ("iou", "dice", "sensitivity", "image_dice", "hd95")
LOWER_IS_BETTER = frozenset({"hd95"})


@dataclass(frozen=True, slots=True, eq=False)
class RegionCounts:
    """What an arm's masks have in common with the labels, by image and region.

    Attributes:
        tp: int64 (images, regions), pixels of the region that are found.
        fp: Likewise, pixels wrongly found.
        fn: Likewise, pixels missed.
        distance: float64 (images, regions), the 95% Hausdorff distance; NaN where a mask lacks the
            region.
    """

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    distance: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence["RegionCounts"]) -> "RegionCounts":
        """The counts of some images and those of others, in order; at least one."""
        tables = zip(*((p.tp, p.fp, p.fn, p.distance) for p in parts), strict=True)
        return cls(*(np.concatenate(tables_of_one) for tables_of_one in tables))

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether an image's labels have a region, (images, regions)."""
        return np.asarray(self.tp + self.fn > 0)

    @property
    def missed(self) -> NDArray[np.int64]:
        """The images in whose labels a region is, but not in the arm's mask; (regions)."""
        return np.asarray((self.labelled & (self.tp + self.fp == 0)).sum(0))


def count(
    masks: Sequence[tuple[Labels, Labels]],
    regions: Regions,
    *,
    ignore: int | None = None,
    spacing: Sequence[Sequence[float] | None] | None = None,
) -> RegionCounts:
    """Count each image's pixels, and measure its distances.

    Args:
        masks: Of each image, the labels that an arm found and the true ones, of one shape: (H, W),
            or (X, Y, Z).
        regions: The regions to score.
        ignore: Pixels with this true label do not count.
        spacing: Of each image, the size of a pixel along each axis; None: 1, so that distances are
            in pixels.

    Raises:
        errors.DataError: The shapes of an image's masks differ.
    """
    rows = []
    for index, (found, truth) in enumerate(masks):
        if found.shape != truth.shape:
            raise DataError(f"masks of {found.shape} and {truth.shape} can't be compared")
        counts = np.ones(truth.shape, bool) if ignore is None else truth != ignore
        steps = spacing[index] if spacing is not None else None
        rows.append([_row(found, truth, counts, labels, steps) for labels in regions.values()])
    table = np.array(rows, np.float64).reshape(len(rows), len(regions), 4)
    tp, fp, fn = (table[..., column].astype(np.int64) for column in range(3))
    return RegionCounts(tp, fp, fn, table[..., 3])


def hausdorff95(
    found: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float] | None = None
) -> float:
    """The larger of both 95th percentiles of the distances from one surface to the other.

    A surface is the pixels of a mask with a neighbour along an axis, or the border, outside it.
    Percentiles are interpolated. Symmetric, as MONAI's ``HausdorffDistanceMetric`` with
    ``percentile=95``.

    Args:
        found: A mask.
        truth: Another, of the same shape.
        spacing: Size of a pixel along each axis; None: 1.

    Returns:
        From 0, in the unit of ``spacing``; NaN where a mask is empty.
    """
    if not found.any() or not truth.any():
        return float("nan")
    part = _box(found | truth)
    surfaces = [mask[part] & ~binary_erosion(mask[part]) for mask in (found, truth)]
    distances = [
        distance_transform_edt(~other, sampling=spacing)[one]
        for one, other in (surfaces, surfaces[::-1])
    ]
    return float(max(np.percentile(values, 95) for values in distances))


def statistics(counts: RegionCounts, draws: NDArray[np.int32]) -> NDArray[np.float64]:
    """The statistics of each region, and their means over the regions that the labels have.

    Args:
        counts: Of all images.
        draws: int32 (draws, images), how often each draw has each image; ones for all of them once.

    Returns:
        float64 (draws, regions + 1, 5), in the order of ``STATISTICS``, the means last; NaN where a
        statistic is not defined.
    """
    tp, fp, fn = (draws @ part for part in (counts.tp, counts.fp, counts.fn))  # (draws, regions)
    labelled = tp + fn > 0
    own = _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)  # (images, regions)
    columns = [
        _ratio(tp, tp + fp + fn),
        _ratio(2 * tp, 2 * tp + fp + fn),
        _ratio(tp, tp + fn),
        _mean_over_images(np.where(counts.labelled, own, np.nan), draws),
        _mean_over_images(counts.distance, draws),
    ]
    return _and_mean(np.where(labelled[..., None], np.stack(columns, -1), np.nan))


def mean_distances(distance: NDArray[np.float64], draws: NDArray[np.int32]) -> NDArray[np.float64]:
    """The column ``hd95`` of ``statistics`` alone, (draws, regions + 1).

    Args:
        distance: As of ``RegionCounts``, NaN where it shall not count.
        draws: As for ``statistics``.
    """
    return _and_mean(_mean_over_images(distance, draws)[..., None])[..., 0]


def _and_mean(regions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Statistics (draws, regions, s), and their means over the regions where they are not NaN."""
    known = ~np.isnan(regions)
    means = _ratio(np.where(known, regions, 0).sum(1, keepdims=True), known.sum(1, keepdims=True))
    return np.concatenate((regions, means), 1)


def _row(
    found: Labels,
    truth: Labels,
    counts: NDArray[np.bool_],
    labels: frozenset[int],
    spacing: Sequence[float] | None,
) -> tuple[float, float, float, float]:
    """TP, FP, FN and distance of a region in an image."""
    mine, theirs = (np.isin(mask, list(labels)) & counts for mask in (found, truth))
    tp, found_in_all, labelled = (int(np.count_nonzero(m)) for m in (mine & theirs, mine, theirs))
    return tp, found_in_all - tp, labelled - tp, hausdorff95(mine, theirs, spacing)


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The smallest box that holds a mask, which isn't empty."""
    where = np.nonzero(mask)
    return tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in where)


def _ratio(top: NDArray[np.number], bottom: NDArray[np.number]) -> NDArray[np.float64]:
    """``top`` / ``bottom``, NaN where that is 0 / 0."""
    result = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    np.divide(top, bottom, out=result, where=bottom != 0)
    return result


def _mean_over_images(values: NDArray[np.float64], draws: NDArray[np.int32]) -> NDArray[np.float64]:
    """Means (draws, regions) of values (images, regions) over images where they are not NaN."""
    known = ~np.isnan(values)
    return _ratio(draws @ np.where(known, values, 0), draws @ known.astype(np.int64))
