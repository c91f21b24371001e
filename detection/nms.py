"""Non-maximum suppression: of overlapping boxes of a class, only the best is kept.

The kernel is torchvision's, loaded without the package, whose import takes longer than a run's
other preparations together.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

MOST = 30_000  # boxes of an image, before suppression, as in ultralytics
SPREAD = 7680  # pixels between the boxes of two classes, as in ultralytics


def nms(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Indices of the kept boxes, best score first; see ``torchvision.ops.nms``.

    Args:
        boxes: float (n, 4), left, top, right, bottom.
        scores: float (n,).
        iou: Boxes that overlap a better one by more are dropped.
    """
    _load_kernel()
    kept: Tensor = torch.ops.torchvision.nms(boxes, scores, iou)
    return kept


def class_wise(
    boxes: Tensor, scores: Tensor, class_id: Tensor, iou: float, spread: float | None = None
) -> Tensor:
    """``nms`` within each class: boxes of different classes are moved apart.

    Args:
        boxes: float (n, 4), left, top, right, bottom, in pixels.
        scores: float (n,).
        class_id: int (n,), 0 or more.
        iou: As for ``nms``.
        spread: Pixels between the boxes of two classes; more than the image, which is the default.
    """
    if spread is None:
        spread = float(boxes.max()) + 1 if len(boxes) else 0.0
    offset = class_id.to(boxes.dtype) * spread
    return nms(boxes + offset[:, None], scores, iou)


def best_boxes(
    raw: Tensor, *, conf: float, iou: float, multi_label: bool, max_det: int
) -> list[Tensor]:
    """The detections among a network's boxes, the same as ultralytics' ``non_max_suppression``.

    Args:
        raw: float [B, 4 + classes, N]: centre x, centre y, width, height, a score per class.
        conf: Least score, itself excluded.
        iou: NMS threshold.
        multi_label: Whether a box counts for each class over ``conf``, or for its best alone.
        max_det: Most detections per image.

    Returns:
        For each image rows (n, 6) of x1, y1, x2, y2, score, class, best first.
    """
    rows = [_candidates(image, conf, multi_label=multi_label) for image in raw]
    return [_suppressed(of_image, iou)[:max_det] for of_image in rows]


def _candidates(raw: Tensor, conf: float, *, multi_label: bool) -> Tensor:
    """Rows (n, 6) of the boxes over ``conf`` in one image's [4 + classes, N]; at most ``MOST``."""
    raw = raw[:, raw[4:].amax(0) > conf].T  # [n, 4 + classes]
    centre, half, scores = raw[:, :2], raw[:, 2:4] / 2, raw[:, 4:]
    boxes = torch.cat((centre - half, centre + half), 1)  # [n, 4]
    if multi_label:
        box, class_id = torch.where(scores > conf)
        boxes, score = boxes[box], scores[box, class_id]
    else:
        score, class_id = scores.max(1)
    rows = torch.cat((boxes, score[:, None], class_id[:, None].to(boxes.dtype)), 1)  # [n, 6]
    return rows if len(rows) <= MOST else rows[score.argsort(descending=True)[:MOST]]


def _suppressed(rows: Tensor, iou: float) -> Tensor:
    """Rows (n, 6) that class-wise NMS keeps, best first."""
    return rows[class_wise(rows[:, :4], rows[:, 4], rows[:, 5], iou, SPREAD)]


@cache
def _load_kernel() -> None:
    """Load torchvision's library alone, or the package where the library isn't found."""
    package = find_spec("torchvision")
    folders = [] if package is None else package.submodule_search_locations or []
    files = sorted(file for folder in folders for file in Path(folder).glob("_C*.so"))
    for file in files:
        torch.ops.load_library(file)  # type: ignore[no-untyped-call]
    if not files:
        import_module("torchvision")
