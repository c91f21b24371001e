"""The anchor loss against a worked example, a plain reference and the head's own decoding."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detection.anchor_head import AnchorHead
from training.finetune.anchor_loss import _boxes, anchor_loss, assign
from training.finetune.batches import Batch

ANCHORS = torch.tensor([[10.0, 13], [16, 30], [33, 23]])


def head(classes=2):
    made = AnchorHead(classes, [4, 4, 4])
    made.anchors[:] = ANCHORS / 8  # in strides of 8, 16, 32
    return made


def batch(objects, regions=(), images=1):
    return Batch(
        torch.zeros(images, 3, 64, 64, dtype=torch.uint8),
        torch.tensor(objects, dtype=torch.float32).reshape(-1, 6),
        torch.tensor(regions, dtype=torch.float32).reshape(-1, 5),
    )


def plain_assign(objects, anchors, stride, cells):
    found = set()
    for target, (image, _, left, top, right, bottom) in enumerate(objects):
        for anchor, (width, height) in enumerate(anchors):
            ratios = (right - left) / width, (bottom - top) / height
            if max(max(r, 1 / r) for r in ratios) >= 4:
                continue
            x, y = (left + right) / 2 / stride, (top + bottom) / 2 / stride
            column, row = min(int(x), cells[1] - 1), min(int(y), cells[0] - 1)
            near = (column + (-1 if x - column < 0.5 else 1), row + (-1 if y - row < 0.5 else 1))
            for c, r in ((column, row), (near[0], row), (column, near[1])):
                if 0 <= c < cells[1] and 0 <= r < cells[0]:
                    found.add((int(image), anchor, r, c, target))
    return found


BOX = st.tuples(
    st.integers(0, 1), st.integers(0, 1), st.floats(0, 60), st.floats(0, 60),
    st.floats(0.5, 70), st.floats(0.5, 70),
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.lists(BOX, max_size=4))
@example([(0, 0, 0, 0, 1, 1), (0, 0, 2**-23, 0, 64, 8)])
def test_objects_go_to_the_anchors_and_cells_of_a_plain_reference(boxes):
    objects = np.array(
        [(i, k, x, y, min(x + w, 64), min(y + h, 64)) for i, k, x, y, w, h in boxes], np.float32
    ).reshape(-1, 6)
    found = assign(torch.from_numpy(objects), ANCHORS, 8, (8, 8))
    rows = list(zip(*(column.tolist() for column in found), strict=True))
    assert len(rows) == len(set(rows))
    # in float32 too: a centre may round onto a cell's border
    assert set(rows) == plain_assign(objects, ANCHORS.numpy(), 8, (8, 8))


def test_boxes_are_those_that_the_head_decodes():
    torch.manual_seed(0)
    network = head().eval()
    features = [torch.randn(1, 4, n, n) for n in (8, 4, 2)]
    decoded = network(features)  # [1, 6, N]
    logits = network.logits(features)
    found = assign(torch.tensor([[0.0, 0, 10, 10, 30, 40]]), ANCHORS, 8, (8, 8))
    picked = logits[0][found.image, found.anchor, :, found.row, found.column]
    mine = _boxes(picked, ANCHORS[found.anchor], 8, found)
    place = (found.anchor * 8 + found.row) * 8 + found.column  # within the first level
    centre, size = decoded[0, :2, place].T, decoded[0, 2:4, place].T
    torch.testing.assert_close(mine, torch.cat((centre - size / 2, centre + size / 2), 1))


def test_a_worked_example():
    """One object of the first anchor's size whose centre is that of its cell.

    With logits 0, centre = cell + 0.5 and size = anchor: its own cell has IoU 1, its two neighbours
    are a cell off. Objectness and classes are 0.5, so that all cross entropies are ln 2.
    """
    network = head(classes=2)
    levels = [torch.zeros(1, 3, 7, n, n) for n in (8, 4, 2)]
    object_ = [0, 1, 20 - 5, 20 - 6.5, 20 + 5, 20 + 6.5]  # 10 x 13 around (20, 20), cell (2, 2)
    box, objectness, kind = anchor_loss(network, levels, batch([object_]))
    fits = [(0, 0), (0, 1), (0, 2), (1, 0)]  # level and anchor of a factor below 4
    sizes = {at: (2 ** at[0] * ANCHORS[at[1]]).tolist() for at in fits}
    cious = {
        at: [
            ciou(object_[2:], around((c + 0.5) * 8 * 2 ** at[0], (r + 0.5) * 8 * 2 ** at[0], *size))
            for c, r in cells(20 / (8 * 2 ** at[0]))
        ]
        for at, size in sizes.items()
    }
    first = [v for at in fits[:3] for v in cious[at]]
    wanted = 0.05 * (1 - np.mean(first) + 1 - np.mean(cious[fits[3]]))
    assert box.item() == pytest.approx(wanted, rel=1e-5)
    assert kind.item() == pytest.approx(0.5 * 2 / 80 * 2 * math.log(2), rel=1e-5)
    # BCE of a logit of 0 is ln 2 whatever is wanted
    assert objectness.item() == pytest.approx((4 + 1 + 0.4) * math.log(2), rel=1e-5)


def cells(position):
    own = int(position)
    near = own + (-1 if position - own < 0.5 else 1)
    return (own, own), (near, own), (own, near)


def around(x, y, width, height):
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def ciou(a, b):
    """Zheng et al., Distance-IoU Loss, Eq. 8 to 10."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    (aw, ah), (bw, bh) = ((c[2] - c[0], c[3] - c[1]) for c in (a, b))
    iou = width * height / (aw * ah + bw * bh - width * height)
    distance = sum(((a[i] + a[i + 2] - b[i] - b[i + 2]) / 2) ** 2 for i in (0, 1))
    diagonal = sum((max(a[i + 2], b[i + 2]) - min(a[i], b[i])) ** 2 for i in (0, 1))
    v = 4 / math.pi**2 * (math.atan(aw / ah) - math.atan(bw / bh)) ** 2
    alpha = v / (1 - iou + v) if v else 0
    return iou - distance / diagonal - alpha * v


def test_cells_in_a_region_to_ignore_have_no_objectness():
    network = head()
    torch.manual_seed(0)
    levels = [torch.randn(1, 3, 7, n, n) for n in (8, 4, 2)]
    changed = [level.clone() for level in levels]
    changed[0][0, :, 4, :4, :4] += 3  # cells whose centres are in the region
    region = [0, 0, 0, 32, 32]
    assert torch.equal(
        anchor_loss(network, levels, batch([], [region])),
        anchor_loss(network, changed, batch([], [region])),
    )
    none = anchor_loss(network, levels, batch([]))
    assert not torch.equal(none, anchor_loss(network, changed, batch([])))
    assert none[[0, 2]].tolist() == [0, 0]


def test_the_loss_falls_where_logits_follow_its_gradient():
    network, wanted = head(), batch([[0, 1, 10, 10, 30, 40], [0, 0, 40, 8, 52, 30]])
    levels = [torch.zeros(1, 3, 7, n, n, requires_grad=True) for n in (8, 4, 2)]
    optimizer = torch.optim.Adam(levels, 0.1)
    values = []
    for _ in range(60):
        loss = anchor_loss(network, levels, wanted).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < values[0] / 10
