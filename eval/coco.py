"""COCO: the JSON forms that a run writes, and pycocotools' numbers from them.

faster_coco_eval computes them, a rewrite of pycocotools' evaluation in C++ that is several times
faster (``benchmarks/evaluation.py``) and gives the same numbers; the tests hold the one against
the other.

An ignore region is written as one crowd annotation for each class that counts, since COCO's
crowds have a class and the region has none. pycocotools leaves a detection out that hits no label
and lies in a region with a share of its area over the IoU threshold. A run also drops, before it
writes its predictions, those with over half of their area in a region (``eval.matching``); here
nothing is dropped, so that the numbers are pycocotools' own for the same files.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.coco_files import AnnotationEntry, GroundTruth, ImageEntry, Prediction
from eval.labels import Labels

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


def ground_truth_json(
    images: Sequence[ImageEntry], labels: Sequence[Labels], names: Mapping[int, str]
) -> GroundTruth:
    """The ground truth of a run as a COCO data set.

    Args:
        images: The images, as they will stand in the file.
        labels: One entry an image.
        names: The classes that count, name by id; labels of others are left out.

    Returns:
        The data set, boxes rounded to a millionth of a pixel, ignore regions as crowds.

    Raises:
        ValueError: The lengths differ.
    """
    annotations: list[AnnotationEntry] = []

    def annotate(image_id: int, class_id: int, xyxy: NDArray[np.float64], crowd: bool) -> None:
        bbox = _xywh(xyxy, decimals=6)
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": class_id,
                "bbox": bbox,
                "area": round(bbox[2] * bbox[3], 6),
                "iscrowd": int(crowd),
            }
        )

    for image, truth in zip(images, labels, strict=True):
        for xyxy, class_id in zip(truth.xyxy, truth.class_id.tolist(), strict=True):
            if class_id in names:
                annotate(image["id"], class_id, xyxy, crowd=False)
        for xyxy in truth.ignore:
            for class_id in sorted(names):
                annotate(image["id"], class_id, xyxy, crowd=True)
    categories = sorted(names.items())
    return {
        "images": list(images),
        "annotations": annotations,
        "categories": [{"id": class_id, "name": name} for class_id, name in categories],
    }


def detections_json(image_id: int, detections: Detections) -> list[Prediction]:
    """The detections of one image as COCO predictions, in their order.

    Scores are the shortest decimals that give the same float32 back, boxes are rounded to a
    thousandth of a pixel.
    """
    return [
        {
            "image_id": image_id,
            "category_id": class_id,
            "bbox": _xywh(xyxy.astype(np.float64), decimals=3),
            "score": float(str(score)),
        }
        for xyxy, score, class_id in zip(
            detections.xyxy, detections.score, detections.class_id.tolist(), strict=True
        )
    ]


def labels_of(ground_truth: GroundTruth) -> list[Labels]:
    """One ``Labels`` an image, in the order of ``ground_truth["images"]``."""
    boxes: dict[int, list[list[float]]] = {image["id"]: [] for image in ground_truth["images"]}
    classes: dict[int, list[int]] = {number: [] for number in boxes}
    # A region is there once for each class; as keys of a dict, equal ones become one.
    regions: dict[int, dict[tuple[float, ...], None]] = {number: {} for number in boxes}
    for item in ground_truth["annotations"]:
        if item["iscrowd"]:
            regions[item["image_id"]][tuple(item["bbox"])] = None
        else:
            boxes[item["image_id"]].append(item["bbox"])
            classes[item["image_id"]].append(item["category_id"])
    return [
        Labels(
            _xyxy(boxes[number]),
            np.array(classes[number], np.int64),
            _xyxy([list(box) for box in regions[number]]),
        )
        for number in boxes
    ]


def detections_of(ground_truth: GroundTruth, predictions: Sequence[Prediction]) -> list[Detections]:
    """One ``Detections`` an image, in the order of ``ground_truth["images"]``, order kept."""
    return [
        _detections([predictions[index] for index in mine])
        for mine in _by_image(ground_truth, predictions)
    ]


def evaluate_coco(ground_truth: GroundTruth, predictions: Sequence[Prediction]) -> CocoResult:
    """Pycocotools' numbers over all images and categories of the ground truth.

    Args:
        ground_truth: The data set; left as it is.
        predictions: Detections of its images and categories, left as they are.
    """
    if all(item["iscrowd"] for item in ground_truth["annotations"]):
        return CocoResult(*[None] * 12, per_class={})
    # The evaluation writes into the entries that it is given. What its loadRes would add to the
    # predictions is done here: loadRes takes no empty list and draws a polygon round every box.
    truth = _index(ground_truth, [dict(item) for item in ground_truth["annotations"]])
    boxes = [
        {**item, "id": number, "area": item["bbox"][2] * item["bbox"][3], "iscrowd": 0}
        for number, item in enumerate(predictions, 1)
    ]
    evaluation = COCOeval_faster(
        truth, _index(ground_truth, boxes), "bbox", print_function=_LOG.debug
    )
    evaluation.params.imgIds = [image["id"] for image in ground_truth["images"]]
    evaluation.params.catIds = [entry["id"] for entry in ground_truth["categories"]]
    evaluation.run()
    # IoU, recall, class, area (all), detections an image (100); -1 where a class has no labels.
    curves = evaluation.eval["precision"][:, :, :, 0, -1]
    labelled = np.flatnonzero((curves > -1).all(axis=(0, 1)))
    return CocoResult(
        *[float(value) if value > -1 else None for value in evaluation.stats],
        per_class={
            int(evaluation.params.catIds[k]): CocoClassResult(
                map50_95=float(curves[:, :, k].mean()), map50=float(curves[0, :, k].mean())
            )
            for k in labelled
        },
    )


def _index(ground_truth: GroundTruth, annotations: list[dict[str, object]]) -> COCO:
    """The images and categories of the ground truth with these annotations."""
    return COCO({**ground_truth, "annotations": annotations}, print_function=_LOG.debug)


def _by_image(ground_truth: GroundTruth, predictions: Sequence[Prediction]) -> list[list[int]]:
    """Indices of the predictions of each image."""
    indices: dict[int, list[int]] = {image["id"]: [] for image in ground_truth["images"]}
    for index, item in enumerate(predictions):
        indices[item["image_id"]].append(index)
    return list(indices.values())


def _detections(predictions: Sequence[Prediction]) -> Detections:
    return Detections(
        _xyxy([item["bbox"] for item in predictions]).astype(np.float32),
        np.array([item["score"] for item in predictions], np.float32),
        np.array([item["category_id"] for item in predictions], np.int64),
    )


def _xywh(xyxy: NDArray[np.float64], decimals: int) -> list[float]:
    """Left, top, width, height of one box (4,), rounded; -0.0 becomes 0.0."""
    x1, y1, x2, y2 = xyxy.tolist()
    return [round(value, decimals) + 0.0 for value in (x1, y1, x2 - x1, y2 - y1)]


def _xyxy(xywh: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Edges (n, 4) of boxes given by left, top, width, height."""
    boxes = np.array(xywh, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
