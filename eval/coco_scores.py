"""pycocotools' numbers.

Matching and curves are ``eval.coco_kernel``, on columns; the thresholds and the means of the curves
are faster_coco_eval's, whose numbers are pycocotools'. The tests hold all against pycocotools.

pycocotools leaves a detection out that hits no label and lies in a crowd region with a share of its
area over the IoU threshold. A run also drops, before it writes its predictions, those with over
half of their area in a region (``eval.matching``); here nothing is dropped, so that the numbers are
pycocotools' own for the same files.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from faster_coco_eval import COCOeval_faster
from numpy.typing import NDArray

from eval.coco_files import GroundTruth, Prediction
from eval.coco_kernel import class_curves, match_class
from eval.predictions import Predictions
from eval.truth import Annotations, Truth

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CocoClassResult:
    """Average precision of one class, IoU 0.5:0.95 and 0.5."""

    map50_95: float
    map50: float


@dataclass(frozen=True, slots=True)
class CocoResult:
    """pycocotools' 12 numbers, in its order; None where nothing labelled is of that size.

    ``map``: mean average precision; ``mar``: mean average recall at 1, 10 or 100 detections an
    image. small, medium, large: area under 32², under 96², above. ``per_class`` has the classes
    that are in the labels, by id.
    """

    map50_95: float | None
    map50: float | None
    map75: float | None
    map_small: float | None
    map_medium: float | None
    map_large: float | None
    mar_1: float | None
    mar_10: float | None
    mar_100: float | None
    mar_small: float | None
    mar_medium: float | None
    mar_large: float | None
    per_class: dict[int, CocoClassResult] = field(kw_only=True)


def evaluate_coco(
    ground_truth: GroundTruth | Truth, predictions: Predictions | Sequence[Prediction]
) -> CocoResult:
    """Pycocotools' numbers over all images and categories of the ground truth.

    Args:
        ground_truth: The data set; left as it is.
        predictions: Detections of its images and categories, left as they are.
    """
    truth = Truth.of(ground_truth)
    if truth.annotations.crowd.all():
        return CocoResult(*[None] * 12, per_class={})
    found = Predictions.of(predictions)
    evaluation = COCOeval_faster(iouType="bbox", print_function=_LOG.debug)
    params = evaluation.params
    params.imgIds = np.sort(truth.image_ids)
    params.catIds = sorted(truth.names)
    parts = [
        _class_curves(truth.annotations, found, class_id, params) for class_id in params.catIds
    ]
    evaluation.eval = {
        "precision": np.stack([precision for precision, _ in parts], axis=2),
        "recall": np.stack([recall for _, recall in parts], axis=1),
    }
    evaluation.summarize()
    # IoU, recall, class, area (all), detections an image (100); -1 where a class has no labels.
    curves = evaluation.eval["precision"][:, :, :, 0, -1]
    labelled = np.flatnonzero((curves > -1).all(axis=(0, 1)))
    return CocoResult(
        *[float(value) if value > -1 else None for value in evaluation.stats],
        per_class={
            params.catIds[k]: CocoClassResult(
                map50_95=float(curves[:, :, k].mean()), map50=float(curves[0, :, k].mean())
            )
            for k in labelled
        },
    )


def _class_curves(
    truth: Annotations,
    found: Predictions,
    class_id: int,
    params: Any,  # noqa: ANN401  (the library's)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision (IoU, recall, area, detections) and recall (IoU, area, detections) of a class."""
    thresholds, recalls = np.array(params.iouThrs), np.array(params.recThrs)
    ranges, limits = params.areaRng, params.maxDets
    labels = truth[np.flatnonzero(truth.category_id == class_id)]
    mine = found[np.flatnonzero(found.category_id == class_id)]
    by_image, start = _by_image(params.imgIds, mine.image_id, -mine.score)
    rank = np.arange(len(mine)) - np.repeat(start[:-1], np.diff(start))  # (n,), place in the image
    kept = by_image[rank < limits[-1]]
    boxes, score = mine.bbox[kept], mine.score[kept]
    _, start = _by_image(params.imgIds, mine.image_id[kept])
    labels_by_image, label_start = _by_image(params.imgIds, labels.image_id)
    labels, rank = labels[labels_by_image], rank[rank < limits[-1]]
    order = np.argsort(-score, kind="stable")  # (n,)
    precision = np.full((len(thresholds), len(recalls), len(ranges), len(limits)), -1.0)
    recall = np.full((len(thresholds), len(ranges), len(limits)), -1.0)
    hit = np.zeros((len(thresholds), len(boxes)), np.bool_)
    ignored = np.zeros_like(hit)
    for a, area in enumerate(np.array(ranges, np.float64)):
        counted = ~labels.crowd & (labels.area >= area[0]) & (labels.area <= area[1])
        if not counted.any():
            continue
        match_class(
            boxes, start, labels.bbox, labels.area, labels.crowd, label_start, area, thresholds,
            hit, ignored,
        )  # fmt: skip
        ranked_hit, ranked_ignored = hit[:, order], ignored[:, order]
        for m, most in enumerate(limits):
            best, last = np.empty((len(thresholds), len(recalls))), np.empty(len(thresholds))
            class_curves(
                rank[order], most, ranked_hit, ranked_ignored, counted.sum(), recalls, best, last
            )
            precision[:, :, a, m], recall[:, a, m] = best, last
    return precision, recall


def _by_image(
    image_ids: NDArray[np.int64], image_id: NDArray[np.int64], *keys: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The order (n,) that sorts rows by image, then by ``keys``, and where each image begins.

    Args:
        image_ids: The images, rising.
        image_id: (n,), of each row.
        keys: (n,) each; equal ones keep their order.

    Raises:
        KeyError: A row is of none of the images.
    """
    if (strays := np.setdiff1d(image_id, image_ids)).size:
        raise KeyError(int(strays[0]))
    ends = np.searchsorted(np.sort(image_id), image_ids, side="right")
    return np.lexsort((*keys, image_id)), np.concatenate([[0], ends]).astype(np.int64)
