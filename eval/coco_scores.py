"""pycocotools' numbers.

faster_coco_eval computes them, a rewrite of pycocotools' evaluation in C++ that is several times
faster (``benchmarks/evaluation.py``) and gives the same numbers; the tests hold the one against
the other. Each class is scored alone, matched in parts of the images: an entry takes ten times the
memory of its numbers, and so do the library's matches.

pycocotools leaves a detection out that hits no label and lies in a crowd region with a share of its
area over the IoU threshold. A run also drops, before it writes its predictions, those with over
half of their area in a region (``eval.matching``); here nothing is dropped, so that the numbers are
pycocotools' own for the same files.
"""

import copy
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval import faster_eval_api_cpp as compiled
from numpy.typing import NDArray

from eval.coco_files import AnnotationEntry, GroundTruth, Prediction
from eval.predictions import Predictions

_LOG = logging.getLogger(__name__)
_PART = 5000  # detections that are matched at a time
Labels = defaultdict[int, list[AnnotationEntry]]  # by image id


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
    ground_truth: GroundTruth, predictions: Predictions | Sequence[Prediction]
) -> CocoResult:
    """Pycocotools' numbers over all images and categories of the ground truth.

    Args:
        ground_truth: The data set; left as it is.
        predictions: Detections of its images and categories, left as they are.
    """
    if all(item["iscrowd"] for item in ground_truth["annotations"]):
        return CocoResult(*[None] * 12, per_class={})
    found = Predictions.of(predictions)
    evaluation = COCOeval_faster(iouType="bbox", print_function=_LOG.debug)
    params = evaluation.params
    params.imgIds = sorted(image["id"] for image in ground_truth["images"])
    params.catIds = sorted(entry["id"] for entry in ground_truth["categories"])
    parts = [_class_curves(ground_truth, found, class_id, params) for class_id in params.catIds]
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
    ground_truth: GroundTruth,
    found: Predictions,
    class_id: int,
    params: Any,  # noqa: ANN401  (the library's)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision (IoU, recall, area, detections) and recall (IoU, area, detections) of a class."""
    one = copy.copy(params)
    one.catIds = [class_id]
    labels: Labels = defaultdict(list)
    for item in ground_truth["annotations"]:
        if item["category_id"] == class_id:
            labels[item["image_id"]].append(item)
    matched = _match(ground_truth, labels, found[found.category_id == class_id], one)
    curves = []
    for area, mine in zip(params.areaRng, matched, strict=True):
        one.areaRng = [area]
        curves.append(compiled.COCOevalAccumulate(one, mine))
        mine.clear()
    return (
        np.stack([curve["precision"][:, :, 0, 0] for curve in curves], axis=2),
        np.stack([curve["recall"][:, 0, 0] for curve in curves], axis=1),
    )


def _match(
    ground_truth: GroundTruth,
    labels: Labels,
    found: Predictions,
    params: Any,  # noqa: ANN401
) -> list[list[object]]:
    """The matches of one class in each image, in the order of the images' ids, by area."""
    images = {image["id"]: image for image in ground_truth["images"]}
    by_image = found.by_image(params.imgIds)
    before = np.cumsum([len(rows) for rows in by_image]) // _PART
    matched: list[list[object]] = [[] for _ in params.areaRng]
    for number in np.unique(before):
        chosen = np.flatnonzero(before == number).tolist()
        image_ids = [params.imgIds[index] for index in chosen]
        here: GroundTruth = {**ground_truth, "images": [images[i] for i in image_ids]}
        rows = np.concatenate([by_image[index] for index in chosen])
        part = COCOeval_faster(
            # The evaluation writes into the entries that it is given.
            _index(here, [dict(item) for i in image_ids for item in labels[i]]),
            _index(here, _entries(found, rows)),
            "bbox",
            print_function=_LOG.debug,
            separate_eval=True,
        )
        part.params.imgIds, part.params.catIds = image_ids, params.catIds
        part.evaluate()
        for place, mine in enumerate(matched):
            mine += part._evalImgs_cpp[place * len(image_ids) : (place + 1) * len(image_ids)]
    return matched


def _index(ground_truth: GroundTruth, annotations: list[dict[str, object]]) -> COCO:
    """The images and categories of the ground truth with these annotations."""
    return COCO({**ground_truth, "annotations": annotations}, print_function=_LOG.debug)


def _entries(found: Predictions, rows: NDArray[np.intp]) -> list[dict[str, object]]:
    """Some of the predictions with what pycocotools' loadRes adds to them.

    loadRes itself takes no empty list and draws a polygon round every box.
    """
    mine = found[rows]
    return [
        {
            "id": row + 1, "image_id": image_id, "category_id": class_id, "bbox": box,
            "score": score, "area": box[2] * box[3], "iscrowd": 0,
        }
        for row, image_id, class_id, box, score in zip(
            rows.tolist(), mine.image_id.tolist(), mine.category_id.tolist(), mine.bbox.tolist(),
            mine.score.tolist(), strict=True,
        )
    ]  # fmt: skip
