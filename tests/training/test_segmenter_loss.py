"""The segmenters' loss against MONAI and torch."""

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from training.segmenter_loss import IGNORED, SMOOTH, cross_entropy, soft_dice_loss


def random_case(classes, seed=0):
    torch.manual_seed(seed)
    return 3 * torch.randn(2, classes, 6, 5), torch.randint(classes - 1, (2, 6, 5))


@pytest.mark.parametrize("classes", [2, 4])
def test_the_same_as_monai_and_torch(classes):
    """The last class is in no target."""
    scores, targets = random_case(classes)
    oracle = DiceLoss(
        to_onehot_y=True, softmax=True, batch=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH
    )
    assert soft_dice_loss(scores, targets) == pytest.approx(
        oracle(scores, targets[:, None]).item(), abs=1e-6
    )
    expected = functional.cross_entropy(scores, targets).item()
    assert cross_entropy(scores, targets) == pytest.approx(expected, abs=1e-6)


def test_ignored_pixels_are_as_if_they_were_not_there():
    scores, targets = random_case(3)
    part = targets.clone()
    part[:, 4:] = IGNORED
    for loss in (cross_entropy, soft_dice_loss):
        expected = loss(scores[:, :, :4], targets[:, :4])
        assert loss(scores, part) == pytest.approx(expected.item(), abs=1e-6)


def test_nothing_to_learn_from_is_no_nan():
    scores, targets = random_case(3)
    scores.requires_grad_()
    targets.fill_(IGNORED)
    total = cross_entropy(scores, targets) + soft_dice_loss(scores, targets)
    total.backward()
    assert torch.isfinite(total)
    assert scores.grad.abs().max() == 0
