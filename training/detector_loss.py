"""The loss of a frozen detector on fused images, whose gradient goes to the fused image.

The detector should find the targets and nothing else. As average precision depends on the best
detection of each object and on confident false positives, each target is matched with the few
predictions (anchor and cell) that fit it best, chosen by task-aligned assignment (Feng et al.,
TOOD, ICCV 2021). Predictions without a target are penalised, confident ones most.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from detection.detectors import yolov5
from training.config import DetectorConfig
from training.targets import CLASS, WEIGHT

MATCHES = 3  # predictions per target
SHARPNESS = 6  # exponent of the IoU in the fit of a prediction; the score's is 1/2
BOX = 4.0  # weight of boxes against scores: mAP@.5:.95 depends mostly on their accuracy
REACHED = 0.3  # least IoU of a match; a target without one has no loss
OVERLAP = 0.5  # predictions over this IoU with a target, or share in a region, are not false
LEAST = 1e-6  # least score, so that its logarithm is finite


class DetectorLoss:
    """The loss of one detector on fused crops, a scalar."""

    def __init__(
        self, config: DetectorConfig, device: torch.device, trunk: torch.dtype = torch.float32
    ) -> None:
        """Load the detector.

        Args:
            config: Its weights and the classes to detect.
            device: Device of the detector.
            trunk: Dtype of all its layers but the head.

        Raises:
            errors.IrvisError: The weights are missing or invalid, or lack one of the classes.
        """
        settings = yolov5.Config(
            weights=config.weights,
            classes=config.classes,
            dtype="bfloat16" if trunk == torch.bfloat16 else "float32",
        )
        self._detector = yolov5.build(settings, device=device)
        self._detector.network.requires_grad_(False)
        self._classes = torch.tensor(config.classes, device=device)

    def __call__(self, fused: Tensor, targets: Sequence[Tensor]) -> Tensor:
        """Compute the loss of missed targets and false predictions.

        Σ over targets of w (mean over their matches of −log p + 4 (1 − IoU)) plus Σ over other
        predictions of −p² log(1 − p), divided by 1 + Σ w; w is a target's weight and p the score of
        its class. The mean is weighted by the fit √p IoU⁶ of the matches.

        Args:
            fused: float [B, 3, S, S] in [0, 1], RGB; S a multiple of 32.
            targets: One float [n, 6] per crop; see ``training.targets``.

        Returns:
            Scalar from 0, reached if all targets have score and IoU 1 and all other scores are 0.
        """
        raw = self._detector.raw(fused.contiguous(memory_format=torch.channels_last))
        center, size = torch.split(raw[:, :4].transpose(1, 2), 2, dim=-1)  # each [B, N, 2]
        boxes = torch.cat((center - size / 2, center + size / 2), dim=-1)  # [B, N, 4]
        scores = raw[:, 4 + self._classes].transpose(1, 2)  # [B, N, K]
        scores = scores.clamp(LEAST, 1 - LEAST)
        rows = pad_sequence(list(targets), batch_first=True)  # [B, T, 6], zeros after the last
        return self._sum(boxes, scores, rows) / (1 + rows[..., WEIGHT].sum())

    def _sum(self, boxes: Tensor, scores: Tensor, rows: Tensor) -> Tensor:
        """The sum over crops of boxes [B, N, 4], scores [B, N, K] and targets [B, T, 6].

        A padding row of zeros is a region without area, which has no effect.
        """
        objects, weights = rows[:, :, None, :4], rows[..., WEIGHT]  # [B, T, 1, 4], [B, T]
        is_class = rows[..., CLASS, None] == self._classes  # [B, T, K]
        column = is_class.int().argmax(dim=2, keepdim=True)  # [B, T, 1]
        # scores of each target's class
        class_scores = scores.mT.gather(1, column.expand(-1, -1, scores.shape[1]))  # [B, T, N]
        with torch.no_grad():
            predictions = boxes[:, None]  # [B, 1, N, 4]
            overlap = _iou(objects, predictions)  # [B, T, N]
            fit = class_scores.sqrt() * overlap**SHARPNESS  # [B, T, N]
            shares, matches = fit.topk(MATCHES, dim=2)  # [B, T, MATCHES] each
            shares = shares / shares.sum(dim=2, keepdim=True).clamp(min=LEAST)
            is_object = (weights > 0)[..., None]  # [B, T, 1]
            close = (overlap > OVERLAP) & is_object  # [B, T, N]
            hit = (close[..., None] & is_class[:, :, None]).any(dim=1)  # [B, N, K]
            inside = (_within(predictions, objects) > OVERLAP) & ~is_object  # [B, T, N]
            is_false = ~(hit | inside.any(dim=1)[..., None])  # [B, N, K]
        matched = boxes[:, None].take_along_dim(matches[..., None], dim=2)  # [B, T, MATCHES, 4]
        matched_iou = _iou(objects, matched)  # [B, T, MATCHES]
        score = class_scores.gather(2, matches)  # [B, T, MATCHES]
        miss = torch.where(matched_iou > REACHED, BOX * (1 - matched_iou) - score.log(), 0)
        false = torch.where(is_false, -(scores**2) * torch.log1p(-scores), 0)  # [B, N, K]
        missed: Tensor = (weights * (shares * miss).sum(dim=2)).sum()
        return missed + false.sum()


def _iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes [..., 4] that broadcast: [...]."""
    intersection = _intersection(first, second)
    union = _area(first) + _area(second) - intersection
    return intersection / union.clamp(min=LEAST)


def _within(boxes: Tensor, regions: Tensor) -> Tensor:
    """The share of each box [..., 4] that is inside a region; both broadcast: [...]."""
    return _intersection(boxes, regions) / _area(boxes).clamp(min=LEAST)


def _intersection(first: Tensor, second: Tensor) -> Tensor:
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    width, height = (high - low).clamp(min=0).unbind(-1)
    return width * height


def _area(boxes: Tensor) -> Tensor:
    width, height = (boxes[..., 2:] - boxes[..., :2]).unbind(-1)
    return width * height
