"""What detections say without labels: how many there are over time, and how far arms agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval import matching
from eval.coco import detections_of
from eval.coco_files import ImageEntry, Prediction


@dataclass(frozen=True, slots=True, eq=False)
class CountsOverTime:
    """Detections an image, over bins of consecutive images.

    Attributes:
        edges: int64 (b + 1,), rising from 0 to the number of images: bin k has the images
            ``edges[k]`` to ``edges[k + 1] - 1`` in the order of ``images``.
        counts: float64 (b,) by arm, mean number of detections an image, at least 0.
    """

    edges: NDArray[np.int64]
    counts: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far arms see the same.

    Attributes:
        images: How many images were compared.
        arms: Their names.
        found: Detections in these images, by arm.
        alone: By arms (a, b), detections of a without a partner among b's; 0 for (a, a).
        share: By arms (a, b), 2 m / (n_a + n_b) in [0, 1] for m pairs of n_a and n_b detections:
            the F1 of either arm with the other's detections as the labels. The same for (b, a), 1
            for (a, a); None where neither found anything.
    """

    images: int
    arms: tuple[str, ...]
    found: Mapping[str, int]
    alone: Mapping[tuple[str, str], int]
    share: Mapping[tuple[str, str], float | None]


def counts_over_time(
    images: Sequence[ImageEntry],
    predictions: Mapping[str, Sequence[Prediction]],
    *,
    confidence: float,
    bins: int = 200,
) -> CountsOverTime:
    """Mean number of detections an image, in equal stretches of the images.

    Args:
        images: In the order of time; those without detections count as well.
        predictions: Detections of these images by arm, in any order.
        confidence: Detections that score at least this count.
        bins: At most so many stretches, whose numbers of images differ by one at most. Where there
            are fewer images, each has its own.

    Raises:
        ValueError: ``bins`` is under 1.
        KeyError: A detection is of none of the images.
    """
    edges = _edges(len(images), bins)
    place = {image["id"]: index for index, image in enumerate(images)}
    counts = {}
    for arm, every in predictions.items():
        where = np.array([place[item["image_id"]] for item in every], np.int64)
        sure = np.array([item["score"] >= confidence for item in every], np.bool_)
        an_image = np.bincount(where[sure], minlength=len(images))
        up_to = np.concatenate([[0], an_image.cumsum()])  # in the images before each
        counts[arm] = np.diff(up_to[edges]) / np.diff(edges)
    return CountsOverTime(edges, counts)


def agreement(
    images: Sequence[ImageEntry],
    predictions: Mapping[str, Sequence[Prediction]],
    *,
    confidence: float,
    iou: float = 0.5,
    most: int = 2000,
) -> Agreement:
    """How far each two arms see the same.

    In each image, pairs of equal class are made one to one, those of highest IoU first. Unlike
    ``eval.matching.match``, which goes by one side's scores, this is the same from either side. Of
    equal overlaps the surer detections' go first, then those further to the left, so that the
    order of the predictions doesn't matter. A box without area has no partner.

    Args:
        images: Where the arms are compared.
        predictions: Detections of these images by arm, in any order.
        confidence: Detections that score at least this count.
        iou: Pairs have at least this IoU, in (0, 1].
        most: Where there are more images than this, so many evenly spaced ones stand for them.

    Raises:
        ValueError: ``iou`` isn't in (0, 1], or ``most`` is under 1.
        KeyError: A detection is of none of the images.
    """
    if not 0 < iou <= 1:
        raise ValueError(f"iou is {iou}; it must be over 0 and at most 1")
    arms = tuple(predictions)
    chosen = _evenly_spaced(images, most)
    used = {image["id"]: False for image in images} | {image["id"]: True for image in chosen}
    by_arm = [_sure(chosen, used, predictions[arm], confidence) for arm in arms]
    totals = [sum(map(len, found)) for found in by_arm]
    alone: dict[tuple[str, str], int] = {}
    share: dict[tuple[str, str], float | None] = {}
    for i, a in enumerate(arms):
        alone[a, a] = 0
        share[a, a] = 1.0 if totals[i] else None
        for j, b in enumerate(arms[:i]):
            pairs = sum(_pairs(*found, iou) for found in zip(by_arm[i], by_arm[j], strict=True))
            both = totals[i] + totals[j]
            alone[a, b], alone[b, a] = totals[i] - pairs, totals[j] - pairs
            share[a, b] = share[b, a] = 2 * pairs / both if both else None
    return Agreement(len(chosen), arms, dict(zip(arms, totals, strict=True)), alone, share)


def _edges(images: int, bins: int) -> NDArray[np.int64]:
    """Where each bin begins, and the last one's end; only [0] without images."""
    if bins < 1:
        raise ValueError(f"bins is {bins}; it must be at least 1")
    used = min(bins, images)
    return np.arange(used + 1) * images // max(used, 1)


def _evenly_spaced(images: Sequence[ImageEntry], most: int) -> list[ImageEntry]:
    """The images in the middle of ``most`` equal stretches, or all if there are no more."""
    if most < 1:
        raise ValueError(f"most is {most}; it must be at least 1")
    used = min(most, len(images))
    return [images[(2 * k + 1) * len(images) // (2 * used)] for k in range(used)]


def _sure(
    images: list[ImageEntry],
    used: Mapping[int, bool],
    predictions: Sequence[Prediction],
    confidence: float,
) -> list[Detections]:
    """The detections that count, one entry an image, best score first, then from the left.

    Args:
        images: Those compared.
        used: Whether it is one of them, by the id of every image.
        predictions: One arm's.
        confidence: Detections that score at least this count.
    """
    mine = [item for item in predictions if used[item["image_id"]] and item["score"] >= confidence]
    mine.sort(key=lambda item: (-item["score"], item["bbox"]))
    return detections_of({"images": images, "annotations": [], "categories": []}, mine)


def _pairs(a: Detections, b: Detections, threshold: float) -> int:
    """How many pairs two arms' detections in one image make, at this IoU, over 0, or more."""
    if len(a) == 0 or len(b) == 0:
        return 0
    overlap = matching.iou(a.xyxy, b.xyxy)  # (n, m)
    first, second = np.nonzero(
        (overlap >= threshold) & (a.class_id[:, None] == b.class_id[None, :])
    )
    # Equal overlaps stay in the order of both indices. Which arm is first doesn't change what is
    # paired: of two candidates with a detection in common, the same one goes first either way.
    order = np.argsort(-overlap[first, second], kind="stable")
    of_a: set[int] = set()
    of_b: set[int] = set()
    for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True):
        if i not in of_a and j not in of_b:
            of_a.add(i)
            of_b.add(j)
    return len(of_a)
