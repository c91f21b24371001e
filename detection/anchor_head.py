"""The head of the original, anchor-based YOLOv5, which the ultralytics package no longer has."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

ANCHORS = 3  # a cell


class AnchorHead(nn.Module):
    """YOLOv5's anchor head: decodes three feature maps into boxes and scores.

    Per cell and anchor the network outputs logits t of (x, y, w, h, objectness, classes...). With
    s = sigmoid(t): centre = (2 s_xy - 0.5 + cell) * stride, size = (2 s_wh)^2 * anchor,
    score = s_obj * s_class (yolov5 v6 and v7).
    """

    anchors: Tensor

    def __init__(self, classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.outputs = 5 + classes
        self.m = nn.ModuleList(nn.Conv2d(c, ANCHORS * self.outputs, 1) for c in channels)
        shape = (len(channels), ANCHORS, 2)
        self.register_buffer("anchors", torch.zeros(shape))  # in strides
        self.strides = [8 * 2**level for level in range(len(channels))]

    def logits(self, features: list[Tensor]) -> list[Tensor]:
        """Compute t of feature maps [B, C_i, h_i, w_i]: one [B, A, 5 + classes, h_i, w_i] each."""
        return [
            conv(feature).unflatten(1, (ANCHORS, self.outputs))
            for feature, conv in zip(features, self.m, strict=True)
        ]

    def forward(self, features: list[Tensor]) -> Tensor | list[Tensor]:
        """Decode feature maps [B, C_i, h_i, w_i] into [B, 4 + classes, N]; ``logits`` in training.

        The package's heads likewise return in training what their loss needs.
        """
        levels = self.logits(features)
        if self.training:
            return levels
        decoded = []
        for level, anchors, stride in zip(levels, self.anchors, self.strides, strict=True):
            s = level.sigmoid()  # [B, A, 5+K, h, w]
            h, w = s.shape[-2:]
            y, x = torch.meshgrid(
                torch.arange(h, device=s.device), torch.arange(w, device=s.device), indexing="ij"
            )
            cell = torch.stack((x, y))  # [2, h, w]
            centre = (2 * s[:, :, :2] - 0.5 + cell) * stride  # [B, A, 2, h, w]
            size = (2 * s[:, :, 2:4]) ** 2 * (anchors * stride)[:, :, None, None]
            score = s[:, :, 4:5] * s[:, :, 5:]  # [B, A, K, h, w]
            boxes = torch.cat((centre, size, score), 2)  # [B, A, 4+K, h, w]
            decoded.append(boxes.movedim(2, 1).flatten(2))  # [B, 4+K, A*h*w]
        return torch.cat(decoded, 2)
