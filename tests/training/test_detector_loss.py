"""What a frozen detector misses and makes up in fused crops: by hand, and as a useful gradient."""

from math import log

import numpy as np
import pytest
import torch

from training import detector_loss as module
from training.config import DetectorConfig
from training.detector_loss import DetectorLoss, _within

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def loss():
    """The demo's detector: person 0, bicycle 1, car 2."""
    return DetectorLoss(DetectorConfig(weights="demo", classes=(0, 2)), CPU)


class Says:
    """A detector that always gives the same places: rows of cx, cy, w, h and three scores."""

    def __init__(self, *places):
        self._raw = torch.tensor(places, dtype=torch.float64).T[None]  # [1, 7, N]

    def raw(self, images):
        return self._raw.expand(len(images), -1, -1)


def value(loss, monkeypatch, places, *targets):
    monkeypatch.setattr(loss, "_detector", Says(*places))
    rows = torch.tensor(targets, dtype=torch.float64).reshape(-1, 6)
    return loss(torch.zeros(1, 3, 32, 32), [rows]).item()


FAR = (200, 200, 4, 4, 0, 0, 0)
EMPTY = [FAR] * 4
PERSON = (5, 5, 10, 10, 0.8, 0, 0)  # the box 0, 0, 10, 10
TARGET = (0, 0, 10, 10, 0, 1)


def test_a_person_that_one_place_shows(loss, monkeypatch):
    """−log 0.8, its box exact; no other place shows it."""
    found = value(loss, monkeypatch, [PERSON, *EMPTY], TARGET)
    assert found == pytest.approx(-log(0.8) / 2, abs=1e-5)


def test_the_box_counts(loss, monkeypatch):
    """Moved by 2 of 10 pixels: 80 of 120."""
    moved = (7, 5, 10, 10, 0.8, 0, 0)
    found = value(loss, monkeypatch, [moved, *EMPTY], TARGET)
    assert found == pytest.approx((-log(0.8) + 4 * (1 - 80 / 120)) / 2, abs=1e-5)


def test_places_share_a_target_by_how_well_they_show_it(loss, monkeypatch):
    """√0.8 and √0.5 (2/3)⁶; the fourth best is left out."""
    moved = (7, 5, 10, 10, 0.5, 0, 0)
    shares = np.array([0.8**0.5, 0.5**0.5 * (2 / 3) ** 6, 0.5**0.5 * (2 / 3) ** 6])
    missed = np.array([-log(0.8), -log(0.5) + 4 / 3, -log(0.5) + 4 / 3])
    found = value(loss, monkeypatch, [moved, PERSON, moved, moved, *EMPTY], TARGET)
    assert found == pytest.approx((shares * missed).sum() / shares.sum() / 2, abs=1e-5)


def test_weights_of_targets(loss, monkeypatch):
    weak = (*TARGET[:5], 0.5)
    found = value(loss, monkeypatch, [PERSON, *EMPTY], weak)
    assert found == pytest.approx(0.5 * -log(0.8) / 1.5, abs=1e-5)


def test_what_is_made_up(loss, monkeypatch):
    """−0.8² log 0.2; the bicycle, which isn't asked for, is nothing."""
    found = value(loss, monkeypatch, [PERSON, (5, 5, 10, 10, 0, 0.9, 0), *EMPTY])
    assert found == pytest.approx(-(0.8**2) * log(0.2), abs=1e-5)


def test_a_second_box_on_a_target_is_not_made_up_but_a_second_class_is(loss, monkeypatch):
    """NMS removes the worse of two boxes of one class, not of two."""
    car = (5, 5, 10, 10, 0, 0, 0.6)
    once = value(loss, monkeypatch, [PERSON, *EMPTY], TARGET)
    twice = value(loss, monkeypatch, [PERSON, PERSON, *EMPTY], TARGET)
    found = value(loss, monkeypatch, [PERSON, car, *EMPTY], TARGET)
    assert twice == pytest.approx(once, abs=1e-5)
    # the car's place shows the person too, with the least score that there is: a share of 0.001
    share = 1e-3 / (1e-3 + 0.8**0.5)
    person = (1 - share) * -log(0.8) + share * -log(1e-6)
    assert found == pytest.approx((person - 0.6**2 * log(0.4)) / 2, abs=1e-5)


def test_regions_count_neither_way(loss, monkeypatch):
    inside = (4, 0, 20, 20, 0, 0)  # 6 of 10 columns of the person's box
    beside = (6, 0, 20, 20, 0, 0)  # 4 of 10
    assert value(loss, monkeypatch, [PERSON, *EMPTY], inside) == pytest.approx(0, abs=1e-5)
    assert value(loss, monkeypatch, [PERSON, *EMPTY], beside) > 1


def test_a_target_that_no_place_reaches_asks_for_nothing(loss, monkeypatch):
    found = value(loss, monkeypatch, EMPTY, TARGET)
    assert found == pytest.approx(0, abs=1e-5)


def test_images_add_up(loss, monkeypatch):
    monkeypatch.setattr(loss, "_detector", Says(PERSON, *EMPTY))
    one = torch.tensor([TARGET], dtype=torch.float64)
    none = torch.zeros(0, 6, dtype=torch.float64)
    together = loss(torch.zeros(2, 3, 32, 32), [one, none]).item()
    assert together == pytest.approx((-log(0.8) - 0.8**2 * log(0.2)) / 2, abs=1e-5)


def one_by_one(boxes, scores, targets, classes):
    """The sum as it is defined, an image and a target at a time."""
    from torchvision.ops import box_iou  # seconds, which only this process takes

    total = 0
    for box, score, rows in zip(boxes, scores, targets, strict=True):
        false = torch.ones_like(score, dtype=torch.bool)  # [N, K]
        for *corners, class_id, weight in rows.tolist():
            target = torch.tensor([corners], dtype=box.dtype)
            if weight == 0:
                low, high = (f(box, target) for f in (torch.maximum, torch.minimum))
                shared = (high[:, 2:] - low[:, :2]).clamp(min=0).prod(dim=1)
                false[shared > module.OVERLAP * (box[:, 2:] - box[:, :2]).prod(dim=1)] = False
                continue
            column = classes.index(class_id)
            overlap = box_iou(target, box)[0]
            false[overlap > module.OVERLAP, column] = False
            shown = (score[:, column].sqrt() * overlap**module.SHARPNESS).detach()
            best = shown.argsort(descending=True)[: module.MATCHES]
            sum_of_best = shown[best].sum()
            for place in best:
                if overlap[place] > module.REACHED:
                    missed = module.BOX * (1 - overlap[place]) - score[place, column].log()
                    total = total + weight * shown[place] / sum_of_best * missed
        total = total + (-(score**2) * torch.log1p(-score))[false].sum()
    return total


@pytest.mark.parametrize("most", [0, 1, 7])
def test_all_images_at_once_are_one_by_one(loss, most):
    """Value and gradient, float64."""
    generator = torch.Generator().manual_seed(most)

    def draw(*size):
        return torch.rand(*size, generator=generator, dtype=torch.float64)

    corners = draw(3, 60, 2) * 40
    boxes = torch.cat((corners, corners + 4 + draw(3, 60, 2) * 20), 2).requires_grad_()
    scores = (draw(3, 60, 2) * 0.98 + 0.01).requires_grad_()
    targets = []
    for count in (most, 0, most // 2):
        moved = boxes[len(targets), :count].detach() + draw(count, 4) * 4  # most are reached
        kinds = torch.tensor([0, 2])[(draw(count) > 0.5).int()]
        weights = (draw(count) > 0.3) * draw(count)
        targets.append(torch.cat((moved, kinds[:, None], weights[:, None]), 1))
    rows = torch.nn.utils.rnn.pad_sequence(targets, batch_first=True)
    found, expected = loss._sum(boxes, scores, rows), one_by_one(boxes, scores, targets, [0, 2])
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    for one, other in zip(
        torch.autograd.grad(found, (boxes, scores), allow_unused=True),
        torch.autograd.grad(expected, (boxes, scores), allow_unused=True),
        strict=True,
    ):
        assert (other is None and not one.any()) or torch.allclose(one, other, rtol=1e-10)


def test_share_within_by_hand():
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    regions = torch.tensor([[5.0, 0, 25, 5], [0, 0, 100, 100]])
    assert torch.allclose(_within(boxes[:, None], regions), torch.tensor([[0.25, 1], [0.25, 1]]))


def test_gradient_descends(loss):
    """Following the gradient makes the real detector see more of the targets."""
    torch.manual_seed(0)
    fused = torch.rand(2, 3, 64, 64, requires_grad=True)
    targets = [torch.tensor([[8.0, 8, 40, 56, 0, 1]]), torch.tensor([[4.0, 16, 60, 48, 2, 0.6]])]
    first = loss(fused, targets)
    first.backward()
    assert torch.isfinite(fused.grad).all()
    assert fused.grad.abs().max() > 0
    assert all(p.grad is None for p in loss._detector.network.parameters())
    step = 1e-3 / fused.grad.abs().max()
    after = loss((fused - step * fused.grad).detach(), targets)
    assert 0 < after.item() < first.item()
