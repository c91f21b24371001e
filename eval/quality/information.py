"""Metrics of information: EN and MI, both from joint histograms of the 256 levels."""

import math

import torch
from torch import Tensor

LEVELS = 256


def joint_histograms(sources: Tensor, fused: Tensor) -> Tensor:
    """Relative frequency of each pair of levels in a source and the fused image.

    Args:
        sources: uint8 [B, 2, H, W].
        fused: uint8 [B, 1, H, W].

    Returns:
        float64 [B, 2, 256, 256], source level by fused level; each histogram sums to 1.
    """
    table = torch.arange(2 * len(fused), device=fused.device).reshape(-1, 2, 1, 1)
    pairs = (table * LEVELS + sources) * LEVELS + fused  # int64 [B, 2, H, W]
    counts = torch.bincount(pairs.flatten(), minlength=2 * len(fused) * LEVELS**2)
    return counts.reshape(-1, 2, LEVELS, LEVELS).double() / fused[0].numel()


def entropy(joint: Tensor) -> Tensor:
    """EN = −Σ p log2 p over the fused image's levels: [B, 2, 256, 256] -> [B].

    Shannon's entropy, in bits. In [0, 8], higher is better.
    """
    return _bits(joint[:, 0].sum(dim=1))


def mutual_information(joint: Tensor) -> Tensor:
    """MI: sum over the two sources S of Σ p(s, f) log2(p(s, f) / (p(s) p(f))): -> [B].

    Qu, Zhang and Yan, "Information measure for performance of image fusion", Electron. Lett. 38(7),
    2002. In [0, 16], higher is better. In bits; divide by 1.4427 for nats.
    """
    source, fused = _bits(joint.sum(dim=3)), _bits(joint.sum(dim=2))  # [B, 2] each
    return (source + fused - _bits(joint.flatten(2))).clamp(min=0).sum(dim=1)


def nats(p: Tensor) -> Tensor:
    """Shannon's entropy of the last dimension, in nats."""
    total: Tensor = torch.special.entr(p).sum(dim=-1)
    return total


def _bits(p: Tensor) -> Tensor:
    return nats(p) / math.log(2)
