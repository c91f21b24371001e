"""Metrics of local structure: SSIM, MS-SSIM, VIF.

All take float64 luminance in 0..255: ``fused`` [B, 1, H, W] and ``sources`` [B, 2, H, W] (infrared,
visible). All give float64 [B].
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
VISUAL_NOISE = 2.0  # variance, in squared levels
FLAT = 1e-8  # a smaller variance is a rounding error, taken as 0
SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
VIF_WINDOWS = (17, 9, 5, 3)


class Local(NamedTuple):
    """Means, variances and covariances in Gaussian windows inside the image.

    Sources [B, 2, h, w], fused [B, 1, h, w].
    """

    source_mean: Tensor
    fused_mean: Tensor
    source_variance: Tensor
    fused_variance: Tensor
    covariance: Tensor


def structural_similarity(sources: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
    """SSIM and MS-SSIM, which share the first scale.

    Per pixel and source S, in a Gaussian window of 11x11 with σ = 1.5 inside the image:
    l = (2 μS μF + C1) / (μS² + μF² + C1), cs = (2 σSF + C2) / (σS² + σF² + C2),
    C1 = (0.01·255)², C2 = (0.03·255)².

    SSIM is the sum over the two sources of mean(l · cs). Wang et al., "Image quality assessment:
    from error visibility to structural similarity", IEEE TIP 13(4), 2004. In [−2, 2], higher is
    better. NaN if height or width is under 11.

    MS-SSIM is the mean over the two sources of mean(l · cs)^0.1333 at the fifth scale times
    mean(cs) to the powers 0.0448, 0.2856, 0.3001, 0.2363 at the first four; negative means count
    as 0. Each scale is the mean over 2x2 pixels of the one before; an odd last row or column is
    dropped. Wang, Simoncelli and Bovik, "Multiscale structural similarity for image quality
    assessment", Asilomar 2003. In [0, 1], higher is better. NaN if height or width is under 176.
    """
    undefined = fused.new_full((len(fused),), torch.nan)
    first = None
    product = fused.new_ones(1)
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale > 0:
            sources, fused = functional.avg_pool2d(sources, 2), functional.avg_pool2d(fused, 2)
        if min(fused.shape[2:]) < SSIM_WINDOW:
            return undefined if first is None else first, undefined
        similarity, contrast = _similarity(sources, fused)  # [B, 2] each
        if first is None:
            first = similarity.sum(dim=1)
        last = scale == len(SCALE_WEIGHTS) - 1
        product = product * (similarity if last else contrast).clamp(min=0) ** weight
    assert first is not None
    return first, product.mean(dim=1)


def visual_information_fidelity(sources: Tensor, fused: Tensor) -> Tensor:
    """VIF: sum over the two sources S of VIFp(S, F), the share of the information of S kept in F.

    At four scales, in Gaussian windows of N = 17, 9, 5, 3 pixels with σ = N / 5 inside the image
    (before scales 2, 3, 4 both images are blurred with that window and every second pixel is
    kept): g = max(σSF, 0) / σS², v = σF² − g σSF,
    VIFp = Σ log(1 + g² σS² / (v + 2)) / Σ log(1 + σS² / 2), sums over all pixels and scales.

    Sheikh and Bovik, "Image information and visual quality", IEEE TIP 15(2), 2006, and their pixel
    domain release. From 0 up (2 if F equals both; added contrast gives more), higher is better.
    Variant: "valid" windows; others pad with zeros. NaN if a source is constant, or height or width
    is under 41.
    """
    if min(fused.shape[2:]) < 41:
        return fused.new_full((len(fused),), torch.nan)
    kept = total = fused.new_zeros(1)
    for scale, window in enumerate(VIF_WINDOWS):
        taps = _gaussian(window, window / 5)
        if scale > 0:
            sources = _blur(sources, taps)[..., ::2, ::2]
            fused = _blur(fused, taps)[..., ::2, ::2]
        local = _local(sources, fused, taps)
        flat = local.source_variance < FLAT
        signal = local.source_variance.masked_fill(flat, 0)  # [B, 2, h, w]
        gain = (local.covariance.clamp(min=0) / signal).masked_fill(flat, 0)
        noise = (local.fused_variance - gain * local.covariance).clamp(min=0)
        ratio = gain.square() * signal / (noise + VISUAL_NOISE)
        kept = kept + ratio.log1p().sum(dim=(2, 3))  # [B, 2]
        total = total + (signal / VISUAL_NOISE).log1p().sum(dim=(2, 3))
    return (kept / total).sum(dim=1)  # 0 / 0 if a source is constant


def _similarity(sources: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the image of l · cs and of cs, [B, 2] each."""
    local = _local(sources, fused, _gaussian(SSIM_WINDOW, SSIM_SIGMA))
    variances = local.source_variance + local.fused_variance
    contrast = (2 * local.covariance + C2) / (variances + C2)  # [B, 2, h, w]
    means = local.source_mean.square() + local.fused_mean.square()
    luminance = (2 * local.source_mean * local.fused_mean + C1) / (means + C1)
    return (luminance * contrast).mean(dim=(2, 3)), contrast.mean(dim=(2, 3))


def _local(sources: Tensor, fused: Tensor, taps: list[float]) -> Local:
    source, f = _blur(sources, taps), _blur(fused, taps)  # [B, 2, h, w], [B, 1, h, w]
    return Local(
        source_mean=source,
        fused_mean=f,
        source_variance=(_blur(sources.square(), taps) - source.square()).clamp(min=0),
        fused_variance=(_blur(fused.square(), taps) - f.square()).clamp(min=0),
        covariance=_blur(sources * fused, taps) - source * f,
    )


def _blur(x: Tensor, taps: list[float]) -> Tensor:
    """Filter columns, then rows, "valid": [B, C, H, W] -> [B, C, H − n + 1, W − n + 1].

    Sums of shifted images, one channel at a time so that it stays in the cache, are many times
    faster on a CPU than ``conv2d``.
    """
    blurred = []
    for part in torch.split(x, 1, dim=1):
        for dim in (2, 3):
            length = part.shape[dim] - len(taps) + 1
            total = part.narrow(dim, 0, length) * taps[0]
            for offset, tap in enumerate(taps[1:], 1):
                total.add_(part.narrow(dim, offset, length), alpha=tap)
            part = total
        blurred.append(part)
    return torch.cat(blurred, dim=1)


def _gaussian(window: int, sigma: float) -> list[float]:
    """The 1D kernel of a separable Gaussian window, sum 1."""
    offset = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    taps = torch.exp(-offset.square() / (2 * sigma**2))
    values: list[float] = (taps / taps.sum()).tolist()
    return values
