"""The loss of an anchor-based YOLOv5, as its authors' training has it (release 6 and 7).

An object is learned at each level by the anchors whose sides differ from its own by a factor under
4, in the cell of its centre and in the nearest neighbours along each axis. Their boxes are drawn to
the object by 1 - CIoU, their class scores by binary cross entropy, and their objectness to the IoU
that they have. All other objectness is drawn to 0.

Otherwise than theirs: the weight of the objectness isn't lowered with the square of the image's
side (their factor at 512 pixels is .64); a cell that several objects want learns the best of them;
objectness in regions to ignore is not learned.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from detection.anchor_head import AnchorHead
from training.finetune.batches import Batch

FACTOR = 4.0  # largest ratio of an object's side to the anchor's, or the other way round
BOX, OBJECTNESS, CLASS = 0.05, 1.0, 0.5  # weights of the terms
CLASSES = 80  # of COCO, for which CLASS holds; with fewer it is as much less
LEVELS = (4.0, 1.0, 0.4)  # weights of the objectness of the fine, middle and coarse cells
BOX_LOGITS = 5  # x, y, w, h, objectness; the classes follow


class Assigned(NamedTuple):
    """The predictions of a level that shall find an object; n of them.

    Attributes:
        image: int64 [n].
        anchor: int64 [n].
        row: int64 [n], of the cell.
        column: int64 [n].
        target: int64 [n], the object.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    target: Tensor


def anchor_loss(head: AnchorHead, logits: Sequence[Tensor], batch: Batch) -> Tensor:
    """The terms of boxes, objectness and classes, weighted: float [3], whose sum is minimised.

    Args:
        head: The head, for its anchors and strides.
        logits: What it gives in training: one [B, A, 5 + K, h, w] a level.
        batch: The objects; objectness has no loss in cells within regions to ignore.
    """
    terms = torch.zeros(3, device=logits[0].device)
    for level, anchors, stride, weight in zip(
        logits, head.anchors, head.strides, LEVELS, strict=True
    ):
        terms = terms + _level_loss(level, anchors * stride, stride, weight, batch)
    return terms * (3 / len(logits))


def _level_loss(level: Tensor, anchors: Tensor, stride: int, weight: float, batch: Batch) -> Tensor:
    """The terms of a level [B, A, 5 + K, h, w] with its anchors [A, 2] in pixels: float [3]."""
    count, _, outputs, height, width = level.shape
    objects, kinds = batch.objects[:, 2:], batch.objects[:, 1].long()  # [t, 4], [t]
    found = assign(batch.objects, anchors, stride, (height, width))
    wanted = torch.zeros_like(level[:, :, 4])  # [B, A, h, w], objectness
    box, kind = level.new_zeros(()), level.new_zeros(())
    if len(found.target):
        picked = level[found.image, found.anchor, :, found.row, found.column]  # [n, 5 + K]
        boxes = _boxes(picked, anchors[found.anchor], stride, found)  # [n, 4]
        ciou = _ciou(boxes, objects[found.target])  # [n]
        box = (1 - ciou).mean()
        place = ((found.image * len(anchors) + found.anchor) * height + found.row) * width
        place = place + found.column  # [n], in wanted.flatten()
        reached = ciou.detach().clamp(min=0).to(wanted.dtype)
        # the best one where several objects want the same prediction
        wanted = wanted.flatten().scatter_reduce(0, place, reached, "amax").view_as(wanted)
        if outputs > BOX_LOGITS + 1:  # a single class has nothing to tell apart
            classes = functional.one_hot(kinds[found.target], outputs - BOX_LOGITS)  # [n, K]
            kind = functional.binary_cross_entropy_with_logits(
                picked[:, BOX_LOGITS:], classes.to(picked.dtype)
            )
    counted = _outside(batch.regions, count, (height, width), stride)[:, None] | (wanted > 0)
    errors = functional.binary_cross_entropy_with_logits(level[:, :, 4], wanted, reduction="none")
    objectness = weight * (errors * counted).sum() / counted.sum().clamp(min=1)
    share = CLASS * (outputs - BOX_LOGITS) / CLASSES
    return torch.stack((BOX * box, OBJECTNESS * objectness, share * kind))


def assign(objects: Tensor, anchors: Tensor, stride: int, cells: tuple[int, int]) -> Assigned:
    """Choose the predictions of a level that shall find the objects.

    Args:
        objects: float [t, 6]: image, class, left, top, right, bottom in pixels.
        anchors: float [A, 2], width and height in pixels.
        stride: Pixels of a cell's side.
        cells: Rows and columns of the level.
    """
    size = objects[:, 4:] - objects[:, 2:4]  # [t, 2]
    ratio = size[:, None] / anchors  # [t, A, 2]
    fits = torch.maximum(ratio, 1 / ratio).amax(2) < FACTOR  # [t, A]
    target, anchor = fits.nonzero(as_tuple=True)  # [m] each
    centre = (objects[target, 2:4] + objects[target, 4:]) / 2 / stride  # [m, 2], in cells
    last = torch.tensor(cells[::-1], device=objects.device) - 1  # column, row
    cell = centre.long().clamp(min=torch.zeros_like(last), max=last)  # [m, 2]
    towards = torch.where(centre - cell < 0.5, -1, 1)  # [m, 2], the nearer neighbour on each axis
    axes = torch.eye(2, dtype=torch.long, device=objects.device)
    several = torch.cat((cell, *(cell + towards * axis for axis in axes)))  # [3 m, 2]
    inside = ((several >= 0) & (several <= last)).all(1)  # [3 m]
    column, row = several[inside].unbind(1)
    target, anchor = target.repeat(3)[inside], anchor.repeat(3)[inside]
    return Assigned(objects[target, 0].long(), anchor, row, column, target)


def _boxes(picked: Tensor, anchors: Tensor, stride: int, found: Assigned) -> Tensor:
    """Decode logits [n, 5 + K] of anchors [n, 2] as ``AnchorHead`` does: xyxy [n, 4], pixels."""
    s = picked[:, :4].sigmoid()
    cell = torch.stack((found.column, found.row), dim=1)  # [n, 2]
    centre = (2 * s[:, :2] - 0.5 + cell) * stride  # [n, 2]
    size = (2 * s[:, 2:]) ** 2 * anchors  # [n, 2]
    return torch.cat((centre - size / 2, centre + size / 2), dim=1)


def _ciou(boxes: Tensor, objects: Tensor) -> Tensor:
    """The complete IoU of boxes [n, 4] with objects [n, 4] (Zheng et al., AAAI 2020): [n]."""
    # imported here, as it takes a second
    from torchvision.ops import complete_box_iou_loss

    loss: Tensor = complete_box_iou_loss(boxes, objects)
    return 1 - loss


def _outside(regions: Tensor, images: int, cells: tuple[int, int], stride: int) -> Tensor:
    """Whether the centre of each cell is outside of all regions [m, 5] of its image: [B, h, w]."""
    y, x = ((torch.arange(n, device=regions.device) + 0.5) * stride for n in cells)
    image, left, top, right, bottom = regions[:, :, None].unbind(1)  # [m, 1] each
    rows = (y >= top) & (y <= bottom)  # [m, h]
    columns = (x >= left) & (x <= right)  # [m, w]
    inside = rows[:, :, None] & columns[:, None]  # [m, h, w]
    hits = torch.zeros((images, *cells), device=regions.device)
    return hits.index_add_(0, image[:, 0].long(), inside.float()) == 0
