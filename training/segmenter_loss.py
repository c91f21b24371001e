"""The loss of segmenters: cross entropy and Dice, as usual since nnU-Net (Isensee et al., 2021)."""

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = 255  # a target that does not count
SMOOTH = 1e-5  # defines the Dice of a class that is in neither


def cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    """The mean over the pixels that count of -log p of their class; 0 if none counts.

    Args:
        scores: Class scores (logits), float [B, K, H, W].
        targets: int64 [B, H, W], 0 to K - 1, or ``IGNORED``.
    """
    total = functional.cross_entropy(scores, targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def soft_dice_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """1 less the mean over classes of 2 Σpg / (Σp + Σg), sums over the pixels of the batch.

    p is the probability of the class, g whether the pixel is of it. As MONAI's ``DiceLoss`` with
    ``softmax``, ``batch``, and ``SMOOTH`` in numerator and denominator.

    Args:
        scores: Class scores (logits), float [B, K, H, W].
        targets: int64 [B, H, W], 0 to K - 1, or ``IGNORED``.
    """
    counts = (targets != IGNORED)[:, None]  # [B, 1, H, W]
    classes = torch.where(counts[:, 0], targets, 0)
    true = functional.one_hot(classes, scores.shape[1]).permute(0, 3, 1, 2) * counts  # [B, K, H, W]
    found = scores.softmax(1) * counts  # [B, K, H, W]
    both, either = ((t).sum((0, 2, 3)) for t in (found * true, found + true))  # [K]
    return 1 - ((2 * both + SMOOTH) / (either + SMOOTH)).mean()
