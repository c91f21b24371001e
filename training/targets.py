"""Targets of the detector loss: labelled boxes, and the detections of late fusion.

A target is a box, a class and a weight, the certainty that the object exists. The frozen detector
runs on infrared, visible and their mean of the whole pair, and class-wise NMS merges the detections
(late fusion, the best result without training). Labels add objects and replace boxes by exact
ones. As labels may be incomplete, detections without a label are kept. If labels are complete
(generated streets), they alone are the targets.
"""

import logging
import os
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from common.checksums import sha256
from common.errors import DataError, cut
from common.files import writing
from detection import weights
from detection.boxes import Detections
from detection.detectors import yolov5
from detection.nms import class_wise
from eval.labels import Labels
from eval.matching import iou
from fusion.fuser import Fuser
from fusion.fusers import average, ir_only, vis_only
from training.config import DetectorConfig
from training.pairs import Pairs

# Columns: x1, y1, x2, y2 in pixels, class id, weight. Weight 0: a region to ignore, of any class.
TARGET = 6
CLASS, WEIGHT = 4, 5
SURE, UNSURE = 0.3, 0.05  # least scores of an object, and of a region to ignore
LABELLED = 0.5  # least weight of a labelled object
SAME = 0.5  # least IoU of a detection and its labelled object
MERGED = 0.6  # IoU threshold of late fusion's NMS

Targets = NDArray[np.float32]  # [n, TARGET]
_log = logging.getLogger(__name__)


def of_source(
    pairs: Pairs, config: DetectorConfig, cache: Path, device: torch.device
) -> tuple[Targets, ...]:
    """The targets of each pair of a source; detections are cached.

    Raises:
        errors.IrvisError: The detector's weights are missing or invalid.
    """
    if pairs.complete:
        # `is None`, because labels without objects may still have regions to ignore
        labels = (Labels.empty() if truth is None else truth for truth in pairs.truth)
        return tuple(_labelled(truth, config.classes) for truth in labels)
    detections = _detections(pairs, config, cache, device)
    return tuple(
        join(detected, truth, config.classes)
        for detected, truth in zip(detections, pairs.truth, strict=True)
    )


def join(detections: Detections, truth: Labels | None, classes: Sequence[int]) -> Targets:
    """Join labels and late fusion's detections of one pair to targets, labels first.

    The weight of a labelled object is the score of its best detection, at least ``LABELLED``. The
    weight of a detection without a labelled object is its score if at least ``SURE``; otherwise it
    is a region to ignore.

    Args:
        detections: Late fusion's detections.
        truth: The labels; None if the pair is unlabelled.
        classes: Class ids to detect.
    """
    kept = np.isin(detections.class_id, classes) & (detections.score >= UNSURE)
    detections = detections[kept]
    scores = np.where(detections.score < SURE, 0, detections.score)
    rows = np.column_stack((detections.xyxy, detections.class_id, scores))
    if truth is None:
        return rows.astype(np.float32)
    labelled = _labelled(truth, classes)
    objects = labelled[labelled[:, WEIGHT] > 0]
    same = iou(detections.xyxy, objects[:, :4]) >= SAME  # (detections, objects)
    same &= detections.class_id[:, None] == objects[None, :, CLASS]
    best = np.where(same, detections.score[:, None], 0).max(axis=0, initial=LABELLED)
    objects[:, WEIGHT] = best
    regions = labelled[labelled[:, WEIGHT] == 0]
    return np.concatenate((objects, regions, rows[~same.any(axis=1)])).astype(np.float32)


def _labelled(truth: Labels, classes: Sequence[int]) -> Targets:
    """Labels as targets of weight 1, and their regions to ignore with weight 0."""
    labels = truth.of_classes(classes)
    objects = np.column_stack((labels.xyxy, labels.class_id, np.ones(len(labels))))
    regions = np.column_stack((labels.ignore, np.zeros((len(labels.ignore), 2))))
    return np.concatenate((objects, regions)).astype(np.float32)


def cache_file(config: DetectorConfig, cache: Path) -> Path:
    """The file of late fusion's detections, by pair id and size, shared by all sources."""
    return cache / f"late-{sha256(weights.resolve(config.weights))[:16]}.npz"


def _detections(
    pairs: Pairs, config: DetectorConfig, cache: Path, device: torch.device
) -> list[Detections]:
    """Late fusion's detections of each pair, computed for pairs that are not in the cache."""
    path = cache_file(config, cache)
    cached: dict[str, NDArray[np.float32]] = {}  # [n, 6]: x1, y1, x2, y2, score, class id
    if path.is_file():
        cached = _read(path)
    keys = [
        f"{pair_id}-{height}x{width}"
        for pair_id, (_, height, width) in zip(pairs.ids, pairs.places, strict=True)
    ]
    missing = [index for index, key in enumerate(keys) if key not in cached]
    if missing:
        _log.info("%s: detecting objects in %d pairs", config.weights, len(missing))
        detector = yolov5.build(
            yolov5.Config(
                weights=config.weights, pad=0.5, resize="val", conf=UNSURE, iou=MERGED,
                multi_label=True,
            ),
            device=device,
        )  # fmt: skip
        for index in missing:
            merged = _late_fusion(detector, pairs[index], device)
            rows = np.column_stack((merged.xyxy, merged.score, merged.class_id))
            cached[keys[index]] = rows.astype(np.float32)
        # the process id, because two trainings may detect at the same time
        partial = path.with_suffix(f".{os.getpid()}.npz")
        with writing(path):
            np.savez(partial, allow_pickle=False, **cached)
            partial.rename(path)
    return [
        Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))
        for rows in (cached[key] for key in keys)
    ]


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    """The cached detections by pair.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            boxes = {key: np.asarray(rows, np.float32) for key, rows in saved.items()}
            if any(rows.ndim != 2 or rows.shape[1] != 6 for rows in boxes.values()):
                raise ValueError("an array has another shape")
            return boxes
    except (
        AttributeError,
        EOFError,
        KeyError,
        OSError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(
            f"{path}: is damaged ({cut(str(error))}); remove it, and the detector runs again"
        ) from error


@torch.inference_mode()
def _late_fusion(
    detector: yolov5.YoloDetector, planes: NDArray[np.uint8], device: torch.device
) -> Detections:
    """Merge the detections in infrared, visible and their mean."""
    image = torch.from_numpy(np.array(planes)).permute(2, 0, 1)[None].to(device)  # [1, 4, H, W]
    ir, vis = image[:, 3:].float() / 255, image[:, :3].float() / 255
    sources: tuple[Fuser, ...] = (
        ir_only.build(ir_only.Config()),
        vis_only.build(vis_only.Config()),
        average.build(average.Config()),
    )
    images = torch.cat([source(ir=ir, vis=vis) for source in sources])  # [3, 3, H, W]
    detections = Detections.concatenate(detector((images * 255).round().to(torch.uint8)))
    kept = class_wise(
        torch.from_numpy(detections.xyxy),
        torch.from_numpy(detections.score),
        torch.from_numpy(detections.class_id),
        MERGED,
    )
    return detections[kept.numpy().astype(np.intp)]
