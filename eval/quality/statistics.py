"""Metrics of single pixels and their neighbours: SD, SF, AG, CC, SCD, PSNR.

All take float64 luminance in 0..255: ``fused`` [B, 1, H, W] and ``sources`` [B, 2, H, W] (infrared,
visible). All give float64 [B].
"""

import torch
from torch import Tensor

PEAK = 255.0


def standard_deviation(fused: Tensor) -> Tensor:
    """SD: sqrt(mean((F − mean F)²)), divisor H·W. In [0, 127.5], higher is better."""
    return fused.std(dim=(1, 2, 3), correction=0)


def spatial_frequency(fused: Tensor) -> Tensor:
    """SF = sqrt(RF² + CF²), RF and CF the root mean square difference along rows and columns.

    Eskicioglu and Fisher, "Image quality measures and their performance", IEEE Trans. Commun.
    43(12), 1995. Variant: the means are over the H·(W−1) and (H−1)·W differences; the paper
    divides both sums by H·W. In [0, 255 √2], higher is better. NaN if height or width is 1.
    """
    rows = fused.diff(dim=3).square().mean(dim=(1, 2, 3))
    columns = fused.diff(dim=2).square().mean(dim=(1, 2, 3))
    return (rows + columns).sqrt()


def average_gradient(fused: Tensor) -> Tensor:
    """AG: mean of sqrt((Fx² + Fy²) / 2), with central differences, one-sided at the borders.

    Cui et al., "Detail preserved fusion of visible and infrared images using regional saliency
    extraction and multi-scale image decomposition", Opt. Commun. 341, 2015. Variant: the
    differences of ``numpy.gradient``, as in common implementations, and a mean over all H·W pixels;
    some divide by (H−1)·(W−1). In [0, 255], higher is better. NaN if height or width is 1.
    """
    if min(fused.shape[2:]) < 2:
        return fused.new_full((len(fused),), torch.nan)
    y, x = torch.gradient(fused, dim=(2, 3))  # [B, 1, H, W] each
    return ((x.square() + y.square()) / 2).sqrt().mean(dim=(1, 2, 3))


def correlation_coefficient(sources: Tensor, fused: Tensor) -> Tensor:
    """CC: mean over the two sources S of Pearson's r(S, F).

    In [−1, 1], higher is better. NaN if one of the three images is constant.
    """
    return _pearson(sources, fused).mean(dim=1)


def sum_of_correlations_of_differences(sources: Tensor, fused: Tensor) -> Tensor:
    """SCD = r(F − B, A) + r(F − A, B) for the sources A and B.

    Aslantas and Bendes, "A new image quality metric for image fusion: the sum of the correlations
    of differences", AEU 69(12), 2015. In [−2, 2], higher is better. NaN if a source is constant or
    differs from F by a constant.
    """
    return _pearson(fused - sources.flip(1), sources).sum(dim=1)


def peak_signal_to_noise_ratio(sources: Tensor, fused: Tensor) -> Tensor:
    """PSNR = 10 log10(255² / MSE), MSE the mean of the two sources' mean squared errors.

    In dB, from 0 up, higher is better. Variant: peak 255 (others: F's maximum), and the mean of the
    errors (others: the mean of two PSNRs). NaN, not infinite, if F equals both sources.
    """
    error = (fused - sources).square().mean(dim=(1, 2, 3))
    ratio = 10 * (PEAK**2 / error).log10()  # [B]
    return ratio.where(error > 0, torch.nan)


def _pearson(x: Tensor, y: Tensor) -> Tensor:
    """Correlation of each channel over its pixels, two [B, C or 1, H, W] -> [B, C].

    The mean of a constant image is exact (integers add without error), so the result is 0 / 0, NaN.
    """
    x = x - x.mean(dim=(2, 3), keepdim=True)
    y = y - y.mean(dim=(2, 3), keepdim=True)
    covariance = (x * y).sum(dim=(2, 3))
    scale = (x.square().sum(dim=(2, 3)) * y.square().sum(dim=(2, 3))).sqrt()
    return (covariance / scale).clamp(-1, 1)
