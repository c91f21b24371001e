"""COCO's JSON forms that a run writes: from labels and detections, and back.

An ignore region is written as one crowd annotation for each class that counts, since COCO's
crowds have a class and the region has none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from detection.boxes import Detections
from eval.coco_files import AnnotationEntry, GroundTruth, ImageEntry, Prediction
from eval.labels import Labels
from eval.predictions import Predictions
from eval.truth import edges


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


def detections_of(
    ground_truth: GroundTruth, predictions: Predictions | Sequence[Prediction]
) -> list[Detections]:
    """One ``Detections`` an image, in the order of ``ground_truth["images"]``, order kept."""
    found = Predictions.of(predictions)
    xyxy, score = edges(found.bbox).astype(np.float32), found.score.astype(np.float32)
    return [
        Detections(xyxy[mine], score[mine], found.category_id[mine])
        for mine in found.by_image([image["id"] for image in ground_truth["images"]])
    ]


def _xywh(xyxy: NDArray[np.float64], decimals: int) -> list[float]:
    """Left, top, width, height of one box (4,), rounded; -0.0 becomes 0.0."""
    x1, y1, x2, y2 = xyxy.tolist()
    return [round(value, decimals) + 0.0 for value in (x1, y1, x2 - x1, y2 - y1)]


def _xyxy(xywh: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Edges (n, 4) of boxes given by left, top, width, height."""
    return edges(np.array(xywh, np.float64).reshape(-1, 4))
