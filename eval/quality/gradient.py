"""Metrics of edges: Qabf, edges preserved from the sources, and Nabf, edges added by fusion.

Both take ``images`` float32 [B, 3, H, W], whole luminance levels 0..255 (infrared, visible, fused),
for which Sobel sums and their squares are exact, and return float64 [B].
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

HALF_TURN = math.pi / 2  # orientations are in [−π/2, π/2]

Border = Literal["constant", "reflect", "replicate"]


def edge_preservation(images: Tensor) -> Tensor:
    """Qabf: the share of the sources' edges, weighted by their strength, preserved in F.

    Per pixel and source S, with Sobel strength g and orientation α = atan(sy / sx):
    G = min(gS, gF) / max(gS, gF), A = 1 − |αS − αF| / (π/2),
    Q = 0.9994 / (1 + exp(−15 (G − 0.5))) · 0.9879 / (1 + exp(−22 (A − 0.8))),
    Qabf = Σ (QA gA + QB gB) / Σ (gA + gB).

    Xydeas and Petrović, "Objective image fusion performance measure", Electron. Lett. 36(4), 2000.
    In [0, 0.975] (0.975 if F equals both sources), higher is better. Variant: zero padding, as in
    common implementations, so that the border counts as an edge; those use G = gF instead of 1 if
    gS = gF, a change under 0.001. NaN if neither source has an edge, that is, both are black.
    """
    strength, angle = _edges(images, "constant")  # [B, 3, H, W] each
    source, fused = strength[:, :2], strength[:, 2:]
    kept = _ratio(source, fused, equal_zeros=1)  # [B, 2, H, W]
    turned = 1 - (angle[:, :2] - angle[:, 2:]).abs() / HALF_TURN
    quality = 0.9994 * torch.sigmoid(15 * (kept - 0.5))
    quality *= 0.9879 * torch.sigmoid(22 * (turned - 0.8))
    return _total(quality * source) / _total(source)


def fusion_artifacts(images: Tensor) -> Tensor:
    """Nabf: the share of F's edges in neither source, where F's edge is the strongest.

    With Sobel strength g (divided by 8) and orientation α, and per source S:
    G = min(gS, gF) / max(gS, gF), 0 where one is 0; A = ||αS − αF| − π/2| / (π/2),
    Q = sqrt(0.9999 / (1 + exp(−19 (G − 0.5))) · 0.9995 / (1 + exp(−22 (A − 0.5)))),
    w = g^1.5 where g >= 2, else 0.001,
    Nabf = Σ over pixels with gF > gA and gF > gB of ((1 − QA) wA + (1 − QB) wB) / Σ (wA + wB).

    Shreyamsha Kumar, "Multifocus and multispectral image fusion based on pixel significance using
    discrete cosine harmonic wavelet transform", SIViP 7, 2013: a modification of Petrović's fusion
    artifacts. In [0, 1], lower is better. Reflect padding, as in the author's release. NaN if
    height or width is 1.
    """
    if min(images.shape[2:]) < 2:
        return images.new_full((len(images),), torch.nan, dtype=torch.float64)
    strength, angle = _edges(images, "reflect")
    strength = strength / 8  # [B, 3, H, W]
    source, fused = strength[:, :2], strength[:, 2:]
    kept = _ratio(source, fused, equal_zeros=0)  # [B, 2, H, W]
    turned = ((angle[:, :2] - angle[:, 2:]).abs() - HALF_TURN).abs() / HALF_TURN
    quality = 0.9999 * torch.sigmoid(19 * (kept - 0.5))
    quality *= 0.9995 * torch.sigmoid(22 * (turned - 0.5))
    weight = torch.where(source >= 2, source * source.sqrt(), 0.001)
    added = (fused > source).all(dim=1, keepdim=True)  # [B, 1, H, W]
    return _total(added * (1 - quality.sqrt()) * weight) / _total(weight)


def sobel(images: Tensor, border: Border) -> tuple[Tensor, Tensor]:
    """Sobel gradients, not divided by 8, from left to right and from top to bottom.

    Args:
        images: float [B, C, H, W].
        border: Padding: zeros, reflection, or repeated border pixels.

    Returns:
        [B, C, H, W] each.
    """
    padded = functional.pad(images, (1, 1, 1, 1), mode=border)  # [B, C, H + 2, W + 2]
    columns = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    rows = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]  # [B, C, H + 2, W]
    return columns[..., 2:] - columns[..., :-2], rows[..., 2:, :] - rows[..., :-2, :]


def _edges(images: Tensor, border: Border) -> tuple[Tensor, Tensor]:
    """Strength and orientation, [B, C, H, W] each; π/2 if the horizontal gradient is 0."""
    x, y = sobel(images, border)
    angle = torch.where(x == 0, HALF_TURN, torch.atan(y / x))
    return (x.square() + y.square()).sqrt(), angle


def _ratio(a: Tensor, b: Tensor, *, equal_zeros: float) -> Tensor:
    """Ratio of the smaller to the larger strength, in [0, 1]."""
    larger = torch.maximum(a, b)
    return torch.where(larger > 0, torch.minimum(a, b) / larger, equal_zeros)


def _total(x: Tensor) -> Tensor:
    """Sum of each image, float32 [B, C, H, W] -> float64 [B]."""
    return x.sum(dim=(1, 2, 3), dtype=torch.float64)
