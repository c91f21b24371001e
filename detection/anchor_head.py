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

    def forward(self, features: list[Tensor]) -> Tensor:
        """Decode feature maps [B, C_i, h_i, w_i] into [B, 4 + classes, N]."""
        decoded = []
        for feature, conv, anchors, stride in zip(
            features, self.m, self.anchors, self.strides, strict=True
        ):
            batch, _, h, w = feature.shape
            s = conv(feature).sigmoid().view(batch, -1, self.outputs, h, w)  # [B, A, 5+K, h, w]
            y, x = torch.meshgrid(
                torch.arange(h, device=s.device), torch.arange(w, device=s.device), indexing="ij"
            )
            cell = torch.stack((x, y))  # [2, h, w]
            centre = (2 * s[:, :, :2] - 0.5 + cell) * stride  # [B, A, 2, h, w]
            size = (2 * s[:, :, 2:4]) ** 2 * (anchors * stride)[:, :, None, None]
            score = s[:, :, 4:5] * s[:, :, 5:]  # [B, A, K, h, w]
            level = torch.cat((centre, size, score), 2)  # [B, A, 4+K, h, w]
            decoded.append(level.movedim(2, 1).flatten(2))  # [B, 4+K, A*h*w]
        return torch.cat(decoded, 2)
