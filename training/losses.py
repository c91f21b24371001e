"""The paper's loss on the luminance, Eq. 11 to 14 of the journal version, and its weights.

From the paper: the three terms and their sum; the weights 100, 10, 1 for infrared and visible.
Not stated by the paper: the squared distance is the mean over pixels; the gradient is |Sobel_x| +
|Sobel_y|; SSIM has a Gaussian window of 11 x 11 with σ = 1.5; gradients and SSIM use only windows
inside the image, because padding would add edges that do not exist.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # of SSIM, for values in [0, 1]


class Terms(NamedTuple):
    """The three terms of Eq. 11 before weighting, scalars."""

    intensity: Tensor
    texture: Tensor
    structure: Tensor


class Weights(NamedTuple):
    """α1, α2 and α3 of Eq. 11."""

    intensity: float
    texture: float
    structure: float

    def total(self, terms: Terms) -> Tensor:
        """Eq. 11: α1 L_int + α2 L_text + α3 L_ssim, a scalar."""
        return torch.stack([weight * term for weight, term in zip(self, terms, strict=True)]).sum()


PRESETS: Mapping[str, Weights] = MappingProxyType(
    {
        "journal-ir-vis": Weights(100.0, 10.0, 1.0),  # section 4.1.2
        "journal-ct-mri": Weights(20.0, 10.0, 10.0),  # section 5.3
        "arxiv-v1": Weights(1.0, 1.0, 10.0),  # the first version
        # of other terms, those of ``mambadfuse_loss``
        "mambadfuse-ir-vis": Weights(20.0, 20.0, 10.0),
        "mambadfuse-medical": Weights(20.0, 100.0, 50.0),
    }
)


def fusion_terms(fused: Tensor, *, ir: Tensor, vis: Tensor) -> Terms:
    """Compute the three terms of a batch, in float32 or float64.

    Args:
        fused: float [B, 1, H, W], luminance, not clamped; H and W at least 11.
        ir: float [B, 1, H, W] in [0, 1], infrared.
        vis: float [B, 1, H, W] in [0, 1], visible luminance.
    """
    return Terms(
        intensity_loss(fused, ir, vis), texture_loss(fused, ir, vis), structure_loss(fused, ir, vis)
    )


def intensity_loss(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Eq. 13: the mean over pixels of (I_f − max(I_1, I_2))².

    Args:
        fused: float [B, 1, H, W].
        first: float [B, 1, H, W] in [0, 1].
        second: float [B, 1, H, W] in [0, 1].

    Returns:
        Scalar from 0; at most 1 where ``fused`` is in [0, 1]. Differentiable.
    """
    return functional.mse_loss(fused, torch.maximum(first, second))


def texture_loss(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Eq. 12: the mean over pixels of | |∇I_f| − max(|∇I_1|, |∇I_2|) |.

    Args:
        fused: float [B, 1, H, W], H and W at least 3.
        first: float [B, 1, H, W] in [0, 1].
        second: float [B, 1, H, W] in [0, 1].

    Returns:
        Scalar from 0; at most 6 where ``fused`` is in [0, 1]. Differentiable.
    """
    target = torch.maximum(gradient(first), gradient(second))  # [B, 1, H-2, W-2]
    return functional.l1_loss(gradient(fused), target)


def structure_loss(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Eq. 14: ½ (1 − SSIM(I_1, I_f)) + ½ (1 − SSIM(I_2, I_f)).

    Args:
        fused: float [B, 1, H, W], H and W at least 11.
        first: float [B, 1, H, W] in [0, 1].
        second: float [B, 1, H, W] in [0, 1].

    Returns:
        Scalar in [0, 2], 0 where all three are the same image. Differentiable.
    """
    similarity = ssim(first, fused) + ssim(second, fused)  # [B]
    return 1 - similarity.mean() / 2


def outside_loss(fused: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Mean square of the distance of each pixel from the range between both images.

    Not in the paper. It keeps a fuser that learns from a detector within the levels of its inputs.

    Args:
        fused: float [B, 1, H, W].
        first: float [B, 1, H, W] in [0, 1].
        second: float [B, 1, H, W] in [0, 1].

    Returns:
        Scalar from 0; 0 if each pixel is between those of the images. Differentiable.
    """
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    return ((fused - fused.clamp(low, high)) ** 2).mean()


def gradient(image: Tensor) -> Tensor:
    """|Sobel_x| + |Sobel_y|, with kernels of 1, 2, 1 and −1, 0, 1, not normalised.

    Args:
        image: float [B, 1, H, W], H and W at least 3.

    Returns:
        float [B, 1, H − 2, W − 2], in [0, 6] for an image in [0, 1].
    """
    # sums of shifted views are faster on a CPU than a convolution of one channel
    smooth_rows = image[:, :, :-2] + 2 * image[:, :, 1:-1] + image[:, :, 2:]  # [B, 1, H-2, W]
    x = smooth_rows[..., 2:] - smooth_rows[..., :-2]  # [B, 1, H-2, W-2]
    smooth_columns = image[..., :-2] + 2 * image[..., 1:-1] + image[..., 2:]  # [B, 1, H, W-2]
    y = smooth_columns[:, :, 2:] - smooth_columns[:, :, :-2]  # [B, 1, H-2, W-2]
    return x.abs() + y.abs()


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (SSIM), the mean over pixels of l · cs.

    l = (2 μ1 μ2 + C1) / (μ1² + μ2² + C1), cs = (2 σ12 + C2) / (σ1² + σ2² + C2), C1 = 0.01²,
    C2 = 0.03². Wang et al., "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13(4), 2004.

    Args:
        first: float [B, 1, H, W] in [0, 1], H and W at least 11.
        second: float [B, 1, H, W].

    Returns:
        float [B], in [−1, 1], 1 for equal images. Differentiable.
    """
    products = (first * first, second * second, first * second)
    moments = _blur(torch.cat((first, second, *products), dim=1))  # [B, 5, H-10, W-10]
    mean1, mean2, square1, square2, product = moments.unbind(dim=1)  # [B, H-10, W-10] each
    luminance = (2 * mean1 * mean2 + C1) / (mean1**2 + mean2**2 + C1)
    spread = square1 - mean1**2 + square2 - mean2**2  # σ1² + σ2²
    contrast = (2 * (product - mean1 * mean2) + C2) / (spread + C2)
    return (luminance * contrast).mean(dim=(1, 2))


def _blur(images: Tensor) -> Tensor:
    """Gaussian means in windows inside the image: [B, n, H, W] to [B, n, H − 10, W − 10].

    For crops of a few hundred pixels on a CPU, products with banded matrices are far faster than
    convolutions of one channel, the gradient above all.
    """
    rows, columns = _bands(images.shape[2], images), _bands(images.shape[3], images)
    return rows @ images @ columns.T


def _bands(size: int, like: Tensor) -> Tensor:
    """Banded matrix [size − 10, size]: row i is the Gaussian window from pixel i on."""
    pixel = torch.arange(size, dtype=like.dtype, device=like.device)  # [size]
    centre = pixel[SSIM_WINDOW // 2 : size - SSIM_WINDOW // 2, None]  # [size - 10, 1]
    distance = (pixel - centre).abs()  # [size - 10, size]
    window = torch.exp(-(distance**2) / (2 * SSIM_SIGMA**2)) * (distance <= SSIM_WINDOW // 2)
    return window / window.sum(dim=1, keepdim=True)
