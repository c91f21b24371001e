"""FMI: mutual information between the edges of the sources and of the fused image.

Edge maps are binary, so a window of 3x3 pixels is one of 512 patterns. The metric of all pairs of
patterns is computed once; that of an image is a look-up and a mean.
"""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from eval.quality.gradient import sobel
from eval.quality.information import nats

CELLS = 9  # pixels of a window, column by column
PATTERNS = 2**CELLS


def feature_mutual_information(images: Tensor) -> Tensor:
    """FMI: mean over windows and the two sources S of 2 I(S; F) / (H(S) + H(F)) of their edges.

    In each 3x3 window both edge maps are distributions over the 9 cells, in column order (uniform
    if the window is empty); identical windows count 1. Their joint distribution is Nelsen's, with r
    the correlation of both edge maps in the window: share · bound + (1 − share) · p pᵀ, where bound
    is Fréchet's upper bound for r >= 0, else the lower one, and share = r / (correlation of the
    cell numbers under the bound), at most 1.

    Haghighat, Aghagolzadeh and Seyedarabi, "A non-reference image fusion metric based on mutual
    information of image features", Comput. Electr. Eng. 37(5), 2011; Haghighat and Razian,
    "Fast-FMI", AICT 2014. In [0, 1], higher is better. Variant: edge maps, the default feature of
    the authors' release, called FMI or "FMI_pixel" in papers; other features are gradients, DCT and
    wavelets, and raw pixels give about half the value. NaN if height or width is under 3.

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
    """Sobel edges as by MATLAB's ``edge``: [B, C, H, W] -> bool [B, C, H, W].

    The squared strength of an edge is more than four times its mean over the image, and no
    neighbour along the stronger of its two directions is stronger. Border pixels are not edges.
    """
    x, y = (part.abs() for part in sobel(images, "replicate"))  # [B, C, H, W] each
    strength = x.square() + y.square()  # exact: integers under 2^24
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
    """Normalized mutual information of each source and fused pattern: [512, 512]."""
    cells = torch.arange(PATTERNS)[:, None] >> torch.arange(CELLS) & 1  # [512, 9]
    cells[0] = 1  # uniform without edges
    mass = cells.double() / cells.sum(dim=1, keepdim=True)  # [512, 9]
    correlation = _correlation(cells)  # [512, 512]
    # the lower bound of p and q is the upper bound of p and reversed q
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
    """Correlation of all pairs of binary rows, 0 if one is uniform: int64 [n, 9] -> [n, n]."""
    size = cells.sum(dim=1)
    covariance = CELLS * cells @ cells.T - torch.outer(size, size)  # integers, hence exact sign
    spread = (size * (CELLS - size)).double().sqrt()
    return (covariance / torch.outer(spread, spread)).nan_to_num(0)


def _deviation(mass: Tensor) -> Tensor:
    """Standard deviation of the cell number, 1 to 9: [n, 9] -> [n]."""
    number = torch.arange(1, CELLS + 1, dtype=mass.dtype)
    mean = mass @ number  # [n]
    return (mass @ number.square() - mean.square()).clamp(min=0).sqrt()


def _covariance_of_bound(source_sums: Tensor, fused_sums: Tensor) -> Tensor:
    """Covariance of the cell numbers under Fréchet's upper bound (Hoeffding): [512, 512]."""
    total = torch.zeros(fused_sums.shape[:2], dtype=fused_sums.dtype)
    for cell in range(1, CELLS + 1):
        sums = source_sums[..., cell, None]  # [512, 1, 1]
        total += (torch.minimum(sums, fused_sums) - sums * fused_sums).sum(dim=2)
    return total


def _sums(mass: Tensor) -> Tensor:
    """Cumulative sums, starting with 0: [..., 9] -> [..., 10]."""
    return functional.pad(mass.cumsum(dim=-1), (1, 0))
