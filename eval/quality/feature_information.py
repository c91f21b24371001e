"""FMI: how much of the sources' edges can be told from those of the fused image.

Edges are yes or no, so that a window of 3x3 pixels is one of 512 patterns: the metric of all pairs
of patterns is computed once, and an image's is a look-up and a mean.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from eval.quality.gradient import sobel
from eval.quality.information import nats

CELLS = 9  # of a window, column by column
PATTERNS = 2**CELLS


def feature_mutual_information(images: Tensor) -> Tensor:
    """FMI: mean over windows and the two sources S of 2 I(S; F) / (H(S) + H(F)) of their edges.

    In each 3x3 window both edge maps are taken as distributions over the 9 cells, in order of
    columns (an empty window is uniform); identical windows count 1. Their joint distribution is
    Nelsen's, with r the correlation of the two edge maps in the window: share · bound +
    (1 − share) · p pᵀ, where bound is Fréchet's upper one for r >= 0, else the lower one, and
    share = r / (the bound's correlation of the cells' numbers), at most 1.

    Haghighat, Aghagolzadeh and Seyedarabi, "A non-reference image fusion metric based on mutual
    information of image features", Comput. Electr. Eng. 37(5), 2011; Haghighat and Razian,
    "Fast-FMI", AICT 2014. In [0, 1], higher is better. Dialect: edge maps are the default feature
    of the authors' release, and what the field's tables call FMI or "FMI_pixel"; gradients, DCT
    and wavelets are others, and raw pixels give about half the value. NaN where a side is under 3.

    Args:
        images: float32 [B, 3, H, W], whole luminance levels 0..255: infrared, visible, fused.

    Returns:
        float64 [B].
    """
    if min(images.shape[2:]) < 3:
        return images.new_full((len(images),), torch.nan, dtype=torch.float64)
    edges = _edges(images).short()
    height, width = edges.shape[2] - 2, edges.shape[3] - 2
    pattern = torch.zeros_like(edges[..., 2:, 2:])  # [B, 3, H - 2, W - 2]
    for cell in range(CELLS):
        column, row = divmod(cell, 3)
        pattern |= edges[..., row : row + height, column : column + width] << cell
    table = _pattern_information().to(images.device)
    pattern = pattern.long()
    return table[pattern[:, :2], pattern[:, 2:]].mean(dim=(1, 2, 3))


def _edges(images: Tensor) -> Tensor:
    """Sobel edges, as MATLAB's ``edge`` finds them: [B, C, H, W] -> bool [B, C, H, W].

    An edge's squared strength is over four times the image's mean, and along the stronger of its
    two directions no neighbour is stronger. The outermost pixels are none.
    """
    x, y = (part.abs() for part in sobel(images, "replicate"))  # [B, C, H, W] each
    strength = x.square() + y.square()  # whole numbers under 2^24: exact
    x, y = x[..., 1:-1, 1:-1], y[..., 1:-1, 1:-1]  # [B, C, H - 2, W - 2]
    inner = strength[..., 1:-1, 1:-1]
    left, right = strength[..., 1:-1, :-2], strength[..., 1:-1, 2:]
    above, below = strength[..., :-2, 1:-1], strength[..., 2:, 1:-1]
    peak = (x >= y) & (left <= inner) & (inner > right)
    peak |= (y >= x) & (above <= inner) & (inner > below)
    cutoff = 4 * strength.mean(dim=(2, 3), keepdim=True, dtype=torch.float64)  # [B, C, 1, 1]
    return functional.pad(peak & (inner > cutoff), (1, 1, 1, 1))


@lru_cache(maxsize=1)
def _pattern_information() -> Tensor:
    """Normalized mutual information of every pair of patterns, source by fused: [512, 512]."""
    cells = torch.arange(PATTERNS)[:, None] >> torch.arange(CELLS) & 1  # [512, 9]
    cells[0] = 1  # without an edge: uniform
    mass = cells.double() / cells.sum(dim=1, keepdim=True)  # [512, 9]
    correlation = _correlation(cells)  # [512, 512]
    # The lower bound of p and q is the upper bound of p and q reversed.
    fused = torch.where(correlation[..., None] < 0, mass.flip(1), mass)  # [512, 512, 9]
    source_sums = _sums(mass)[:, None]  # [512, 1, 10]
    fused_sums = _sums(fused)  # [512, 512, 10]
    deviation = _deviation(mass)  # [512]
    most = _covariance_of_bound(source_sums, fused_sums)  # [512, 512]
    share = correlation.abs() * torch.outer(deviation, deviation) / most
    share = torch.where(most > 1e-9, share, 0).clamp(max=1)[..., None]  # [512, 512, 1]
    joint = torch.zeros_like(correlation)  # entropy
    for cell in range(CELLS):
        low, high = source_sums[..., cell, None], source_sums[..., cell + 1, None]  # [512, 1, 1]
        bound = torch.minimum(high, fused_sums[..., 1:]) - torch.maximum(low, fused_sums[..., :-1])
        product = mass[:, None, cell, None] * fused  # [512, 512, 9]
        joint += nats(share * bound.clamp(min=0) + (1 - share) * product)
    both = nats(mass)[:, None] + nats(mass)  # [512, 512]
    table = (2 * (both - joint) / both).nan_to_num(0).clamp(0, 1)
    return table.fill_diagonal_(1)


def _correlation(cells: Tensor) -> Tensor:
    """Of each two rows of zeros and ones, 0 where one is uniform: int64 [n, 9] -> [n, n]."""
    size = cells.sum(dim=1)
    covariance = CELLS * cells @ cells.T - torch.outer(size, size)  # whole numbers: exact sign
    spread = (size * (CELLS - size)).double().sqrt()
    return (covariance / torch.outer(spread, spread)).nan_to_num(0)


def _deviation(mass: Tensor) -> Tensor:
    """Standard deviation of the cell's number, 1 to 9: [n, 9] -> [n]."""
    number = torch.arange(1, CELLS + 1, dtype=mass.dtype)
    mean = mass @ number  # [n]
    return (mass @ number.square() - mean.square()).clamp(min=0).sqrt()


def _covariance_of_bound(source_sums: Tensor, fused_sums: Tensor) -> Tensor:
    """Of the cells' numbers under Fréchet's upper bound, by Hoeffding's formula: [512, 512]."""
    total = torch.zeros(fused_sums.shape[:2], dtype=fused_sums.dtype)
    for cell in range(1, CELLS + 1):
        sums = source_sums[..., cell, None]  # [512, 1, 1]
        total += (torch.minimum(sums, fused_sums) - sums * fused_sums).sum(dim=2)
    return total


def _sums(mass: Tensor) -> Tensor:
    """Running sums that begin with 0: [..., 9] -> [..., 10]."""
    return functional.pad(mass.cumsum(dim=-1), (1, 0))
