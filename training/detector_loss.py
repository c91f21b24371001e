"""The detector in the loop: a frozen detector should see in fused images what it sees in sources.

At each place of its output (anchor and cell) the detector looks at infrared, visible and their
mean; the one of the three that it is surest of is the teacher there. The fused image should be seen
as surely. No labels are needed, and where all three are unsure the fused image should be so too.
"""

import torch
from torch import Tensor
from torchvision.ops import box_convert

from detection.detectors import yolov5
from fusion.fuser import Fuser
from fusion.fusers import average, ir_only, vis_only
from training.config import DetectorConfig
from training.data import Batch

_LEAST = 1e-6  # of a score: its logarithm must be finite


class DetectorLoss:
    """A scalar for fused crops; its gradient goes through the detector to the fused image."""

    def __init__(self, config: DetectorConfig, device: torch.device) -> None:
        """Load the detector.

        Raises:
            errors.IrvisError: Its weights are missing or wrong, or it lacks one of the classes.
        """
        settings = yolov5.Config(weights=config.weights, classes=config.classes)
        self._detector = yolov5.build(settings, device=device)
        self._detector.network.requires_grad_(False)
        self._rows = torch.tensor([4 + class_id for class_id in config.classes], device=device)
        self._sources: tuple[Fuser, ...] = (
            ir_only.build(ir_only.Config()),
            vis_only.build(vis_only.Config()),
            average.build(average.Config()),
        )

    def __call__(self, fused: Tensor, batch: Batch) -> Tensor:
        """What the detector misses, and sees wrongly, in the fused image.

        With q the teacher's scores, c their maximum over the classes and p the student's scores:
        (Σ KL(q ‖ p) + Σ c (1 − IoU(teacher's box, student's box))) / (1 + Σ c), over all places.

        Args:
            fused: float [B, 3, S, S] in [0, 1], RGB; S a multiple of 32.
            batch: Its crops.

        Returns:
            At least 0; 0 where the fused image is seen as the teacher.
        """
        boxes, scores = self._look(fused)  # [B, N, 4], [B, N, K]
        with torch.no_grad():
            teacher, wanted = self._teacher(batch)
        certainty = wanted.amax(dim=2)  # [B, N]
        overlap = _iou(teacher, boxes)  # [B, N]
        missed = _divergence(wanted, scores).sum() + (certainty * (1 - overlap)).sum()
        return missed / (1 + certainty.sum())

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [B, N, 4] as centre, width and height, and the classes' scores [B, N, K]."""
        raw = self._detector.raw(images.contiguous(memory_format=torch.channels_last))
        return raw[:, :4].transpose(1, 2), raw[:, self._rows].transpose(1, 2)

    def _teacher(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """At each place the source with the highest score: boxes [B, N, 4], scores [B, N, K]."""
        ir, vis = batch.ir.float() / 255, batch.vis.float() / 255
        seen = [self._look(source(ir=ir, vis=vis)) for source in self._sources]
        boxes = torch.stack([part[0] for part in seen])  # [3, B, N, 4]
        scores = torch.stack([part[1] for part in seen])  # [3, B, N, K]
        best = scores.amax(dim=3).argmax(dim=0)[None, :, :, None]  # [1, B, N, 1]
        return (
            boxes.gather(0, best.expand(-1, -1, -1, boxes.shape[3]))[0],
            scores.gather(0, best.expand(-1, -1, -1, scores.shape[3]))[0],
        )


def _divergence(wanted: Tensor, scores: Tensor) -> Tensor:
    """Kullback and Leibler's divergence of yes-or-no scores, of any shape; 0 where they agree."""
    q, p = (part.clamp(_LEAST, 1 - _LEAST) for part in (wanted, scores))
    return q * (q.log() - p.log()) + (1 - q) * ((1 - q).log() - (1 - p).log())


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of each box with its counterpart: [B, N, 4] as centre, width, height -> [B, N]."""
    a, b = box_convert(a, "cxcywh", "xyxy"), box_convert(b, "cxcywh", "xyxy")
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(dim=-1) + (b[..., 2:] - b[..., :2]).prod(dim=-1)
    return shared / (areas - shared).clamp(min=_LEAST)
