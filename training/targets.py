"""What a detector should see in training pairs: labelled boxes and those that late fusion finds.

A target is a box, a class and a weight: how sure it is that the object is there. The frozen
detector looks at infrared, visible and their mean of the whole pair, and class-wise NMS merges what
it finds (late fusion, the best that detectors do without training). Labels add to it and make its
boxes exact, but an object without a label may still be there: where labels may be incomplete,
nothing is taken away. Where they are complete (generated streets) they are the targets alone.
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
from torchvision.ops import batched_nms

from common.checksums import sha256
from common.errors import DataError, cut
from common.files import writing
from detection import weights
from detection.boxes import Detections
from detection.detectors import yolov5
from eval.labels import Labels
from eval.matching import iou
from fusion.fuser import Fuser
from fusion.fusers import average, ir_only, vis_only
from training.config import DetectorConfig
from training.pairs import Pairs

TARGET = 6  # x1, y1, x2, y2 in pixels, class id, weight; weight 0: counts neither way, of any class
CLASS, WEIGHT = 4, 5
SURE, UNSURE = 0.3, 0.05  # scores: objects, and what may be one
LABELLED = 0.5  # least weight of a labelled object
SAME, MERGED = 0.5, 0.6  # IoU of a found and a labelled object; of late fusion's NMS

Targets = NDArray[np.float32]  # [n, TARGET]
_log = logging.getLogger(__name__)


def of_source(
    pairs: Pairs, config: DetectorConfig, cache: Path, device: torch.device
) -> tuple[Targets, ...]:
    """The targets of each pair of a source, from the cache if they are there.

    Raises:
        errors.IrvisError: The detector's weights are missing or wrong.
    """
    if pairs.complete:
        # not `or`: labels without an object may still have regions to ignore
        known = (Labels.empty() if truth is None else truth for truth in pairs.truth)
        return tuple(_labelled(truth, config.classes) for truth in known)
    found = _found(pairs, config, cache, device)
    return tuple(
        join(seen, truth, config.classes) for seen, truth in zip(found, pairs.truth, strict=True)
    )


def join(found: Detections, truth: Labels | None, classes: Sequence[int]) -> Targets:
    """Labels and late fusion's detections of one pair as targets, labels first.

    A labelled object weighs as much as the best detection of it scores, at least ``LABELLED``. A
    detection that is of no labelled object weighs its score from ``SURE`` on; below, the place
    counts neither way.

    Args:
        found: Late fusion's detections.
        truth: The labels; None where there are none.
        classes: Class ids that matter.
    """
    found = found[np.isin(found.class_id, classes) & (found.score >= UNSURE)]
    scores = np.where(found.score < SURE, 0, found.score)
    rows = np.column_stack((found.xyxy, found.class_id, scores))
    if truth is None:
        return rows.astype(np.float32)
    labelled = _labelled(truth, classes)
    objects = labelled[labelled[:, WEIGHT] > 0]
    same = iou(found.xyxy, objects[:, :4]) >= SAME  # (found, objects)
    same &= found.class_id[:, None] == objects[None, :, CLASS]
    best = np.where(same, found.score[:, None], 0).max(axis=0, initial=LABELLED)
    objects[:, WEIGHT] = best
    regions = labelled[labelled[:, WEIGHT] == 0]
    return np.concatenate((objects, regions, rows[~same.any(axis=1)])).astype(np.float32)


def _labelled(truth: Labels, classes: Sequence[int]) -> Targets:
    """Labels as targets of weight 1, their regions to ignore with weight 0."""
    mine = truth.of_classes(classes)
    objects = np.column_stack((mine.xyxy, mine.class_id, np.ones(len(mine))))
    regions = np.column_stack((mine.ignore, np.zeros((len(mine.ignore), 2))))
    return np.concatenate((objects, regions)).astype(np.float32)


def cache_file(config: DetectorConfig, cache: Path) -> Path:
    """Where late fusion's detections are kept: by pairs' ids and sizes, whatever the source."""
    return cache / f"late-{sha256(weights.resolve(config.weights))[:16]}.npz"


def _found(
    pairs: Pairs, config: DetectorConfig, cache: Path, device: torch.device
) -> list[Detections]:
    """Late fusion's detections of each pair; looked for once."""
    path = cache_file(config, cache)
    known: dict[str, NDArray[np.float32]] = {}  # [n, 6]: x1, y1, x2, y2, score, class id
    if path.is_file():
        known = _read(path)
    keys = [
        f"{content}-{height}x{width}"
        for content, (_, height, width) in zip(pairs.ids, pairs.places, strict=True)
    ]
    missing = [index for index, key in enumerate(keys) if key not in known]
    if missing:
        _log.info("%s: looking for objects in %d pairs", config.weights, len(missing))
        detector = yolov5.build(
            yolov5.Config(
                weights=config.weights, pad=0.5, resize="val", conf=UNSURE, iou=MERGED,
                multi_label=True,
            ),
            device=device,
        )  # fmt: skip
        for index in missing:
            some = _late(detector, pairs[index], device)
            rows = np.column_stack((some.xyxy, some.score, some.class_id))
            known[keys[index]] = rows.astype(np.float32)
        partial = path.with_suffix(f".{os.getpid()}.npz")  # two trainings may look at once
        with writing(path):
            np.savez(partial, allow_pickle=False, **known)
            partial.rename(path)
    return [
        Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))
        for rows in (known[key] for key in keys)
    ]


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    """What was found before.

    Raises:
        DataError: The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            known = {key: np.asarray(rows, np.float32) for key, rows in saved.items()}
            if any(rows.ndim != 2 or rows.shape[1] != 6 for rows in known.values()):
                raise ValueError("it holds something else")
            return known
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
            f"{path}: is damaged ({cut(str(error))}); remove it, and detectors look again"
        ) from error


@torch.inference_mode()
def _late(
    detector: yolov5.YoloDetector, planes: NDArray[np.uint8], device: torch.device
) -> Detections:
    """What the detector finds in infrared, visible and their mean, merged."""
    image = torch.from_numpy(np.array(planes)).permute(2, 0, 1)[None].to(device)  # [1, 4, H, W]
    ir, vis = image[:, 3:].float() / 255, image[:, :3].float() / 255
    sources: tuple[Fuser, ...] = (
        ir_only.build(ir_only.Config()),
        vis_only.build(vis_only.Config()),
        average.build(average.Config()),
    )
    shown = torch.cat([source(ir=ir, vis=vis) for source in sources])  # [3, 3, H, W]
    every = Detections.concatenate(detector((shown * 255).round().to(torch.uint8)))
    kept = batched_nms(
        torch.from_numpy(every.xyxy),
        torch.from_numpy(every.score),
        torch.from_numpy(every.class_id),
        MERGED,
    )
    return every[kept.numpy().astype(np.intp)]
