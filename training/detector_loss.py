"""The detector in the loop: it should find the targets in fused images, and nothing else.

The loss is on what counts for average precision: for each target the few places of the detector's
output (anchor and cell) that show it best, as "task-aligned" assignment chooses them (Feng et al.,
TOOD, ICCV 2021), and all places where there is none, the surest most of all. The detector is
frozen; the gradient goes through it to the fused image.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import box_convert

from detection.detectors import yolov5
from training.config import DetectorConfig
from training.targets import CLASS, WEIGHT

PLACES = 3  # that show a target best
SHARPNESS = 6  # power of the IoU in how well a place shows a target; of the score it is 1/2
BOX = 4.0  # weight of the boxes beside the scores: most of mAP@.5:.95 is how exact they are
REACHED = 0.3  # least IoU of such a place; an object that none reaches teaches nothing
OVERLAP = 0.5  # IoU with a target from which a place is no false one; share of it within a region
LEAST = 1e-6  # of a score: its logarithm must be finite


class DetectorLoss:
    """A scalar for fused crops; its gradient goes through the detector to the fused image."""

    def __init__(
        self, config: DetectorConfig, device: torch.device, trunk: torch.dtype = torch.float32
    ) -> None:
        """Load the detector.

        Args:
            config: Which, and which classes matter.
            device: Where it computes.
            trunk: The dtype of all its layers but the head.

        Raises:
            errors.IrvisError: Its weights are missing or wrong, or it lacks one of the classes.
        """
        settings = yolov5.Config(weights=config.weights, classes=config.classes)
        self._detector = yolov5.build(settings, device=device)
        self._detector.network.requires_grad_(False)
        self._trunk = trunk
        self._classes = torch.tensor(config.classes, device=device)

    def __call__(self, fused: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """What the detector misses, and makes up, in the fused images.

        Σ over targets of w (mean over their places of −log p + 4 (1 − IoU)) plus Σ over other
        places of −p² log(1 − p), divided by 1 + Σ w; w is a target's weight and p the score of its
        class. The mean gives places the shares of how well they show the target, √p IoU⁶.

        Args:
            fused: float [B, 3, S, S] in [0, 1], RGB; S a multiple of 32.
            targets: float [n, 6] a crop, see ``training.targets``.

        Returns:
            At least 0, where every target is found for sure and nothing else is.
        """
        raw = self._detector.raw(fused.contiguous(memory_format=torch.channels_last), self._trunk)
        boxes = box_convert(raw[:, :4].transpose(1, 2), "cxcywh", "xyxy")  # [B, N, 4]
        scores = raw[:, 4 + self._classes].transpose(1, 2)  # [B, N, K]
        scores = scores.clamp(LEAST, 1 - LEAST)
        rows = pad_sequence(list(targets), batch_first=True)  # [B, T, 6], zeros after the last
        return self._sum(boxes, scores, rows) / (1 + rows[..., WEIGHT].sum())

    def _sum(self, boxes: Tensor, scores: Tensor, rows: Tensor) -> Tensor:
        """The sum over crops: boxes [B, N, 4], scores [B, N, K], targets [B, T, 6].

        A row of zeros is a region without area, which changes nothing.
        """
        objects, weights = rows[:, :, None, :4], rows[..., WEIGHT]  # [B, T, 1, 4], [B, T]
        wanted = rows[..., CLASS, None] == self._classes  # [B, T, K]
        column = wanted.int().argmax(dim=2, keepdim=True)  # [B, T, 1]
        mine = scores.mT.gather(
            1, column.expand(-1, -1, scores.shape[1])
        )  # [B, T, N], of its class
        with torch.no_grad():
            everywhere = boxes[:, None]  # [B, 1, N, 4]
            overlap = _iou(objects, everywhere)  # [B, T, N]
            shown = mine.sqrt() * overlap**SHARPNESS  # [B, T, N]
            shares, places = shown.topk(PLACES, dim=2)  # [B, T, PLACES] each
            shares = shares / shares.sum(dim=2, keepdim=True).clamp(min=LEAST)
            is_object = (weights > 0)[..., None]  # [B, T, 1]
            close = (overlap > OVERLAP) & is_object  # [B, T, N]
            hit = (close[..., None] & wanted[:, :, None]).any(dim=1)  # [B, N, K]
            inside = (_within(everywhere, objects) > OVERLAP) & ~is_object  # [B, T, N]
            false = ~(hit | inside.any(dim=1)[..., None])  # [B, N, K]
        near = _iou(objects, boxes[:, None].take_along_dim(places[..., None], dim=2))
        score = mine.gather(2, places)  # [B, T, PLACES], as near
        missed = torch.where(near > REACHED, BOX * (1 - near) - score.log(), 0)
        made_up = torch.where(false, -(scores**2) * torch.log1p(-scores), 0)  # [B, N, K]
        found: Tensor = (weights * (shares * missed).sum(dim=2)).sum()
        return found + made_up.sum()


def _iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes [..., 4] that broadcast: [...]."""
    shared = _shared(first, second)
    return shared / (_area(first) + _area(second) - shared).clamp(min=LEAST)


def _within(boxes: Tensor, regions: Tensor) -> Tensor:
    """The share of each box [..., 4] that lies in a region; both broadcast: [...]."""
    return _shared(boxes, regions) / _area(boxes).clamp(min=LEAST)


def _shared(first: Tensor, second: Tensor) -> Tensor:
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    return width * height


def _area(boxes: Tensor) -> Tensor:
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    return width * height
