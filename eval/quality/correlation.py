"""Rank correlation of image quality metrics with the gain in detection by fusion."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

_LEAST_IMAGES = 5  # the interval needs more than 3 images, and is meaningless with 4


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation over images.

    Attributes:
        rho: In [-1, 1]; None with fewer than five images, or if a variable is constant.
        ci95: Its 95% interval by Fisher's z with the variance 1.06 / (n - 3) (Fieller, Hartley and
            Pearson 1957); None if rho is None, 1 or -1.
        images: Number of images with both values.
    """

    rho: float | None
    ci95: tuple[float, float] | None
    images: int


def detection_gain(
    fused: NDArray[np.float64], ir: NDArray[np.float64], vis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gain by fusion on each image (n,): its F1 minus the mean of both sources' F1."""
    return fused - (ir + vis) / 2


def correlate(
    metrics: Mapping[str, NDArray[np.float64]], gain: NDArray[np.float64]
) -> dict[str, Correlation]:
    """Correlate each metric (n,) with the gain (n,), without images where either is NaN."""
    return {name: _correlation(values, gain) for name, values in metrics.items()}


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> Correlation:
    both = np.isfinite(a) & np.isfinite(b)
    a, b, n = a[both], b[both], int(both.sum())
    if n < _LEAST_IMAGES or np.ptp(a) == 0 or np.ptp(b) == 0:
        return Correlation(None, None, n)
    rho = float(np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1])
    if 1 - abs(rho) < 1e-12:
        return Correlation(float(np.sign(rho)), None, n)
    margin = ndtri(0.975) * np.sqrt(1.06 / (n - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-margin, margin]))
    return Correlation(rho, (float(low), float(high)), n)
