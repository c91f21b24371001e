"""MambaDFuse's loss on the luminance, as its authors' code has it.

From the code: ``w1 int + w2 grad + w3 (1 − s)`` on the network's raw output, with zeros beyond the
image's edges in gradients and SSIM; the weights 20, 20, 10 for infrared and visible, 20, 100, 50
for medical pairs (in ``losses.PRESETS``). Ours: both images count alike where neither has a
gradient.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from training.losses import SSIM_WINDOW, Terms, gradient, ssim


class TermsOf(Protocol):
    """Computes the three terms of a batch."""

    def __call__(self, fused: Tensor, *, ir: Tensor, vis: Tensor) -> Terms:
        """See ``training.losses.fusion_terms``."""
        ...


def by_gradient(fused: Tensor, *, ir: Tensor, vis: Tensor) -> Terms:
    """The terms for infrared and visible: an image's SSIM counts by its share of the gradients.

    a = mean G(IR) / (mean G(IR) + mean G(VIS)) over the whole batch,
    s = a SSIM(IR, F) + (1 − a) SSIM(VIS, F).

    Args:
        fused: float [B, 1, H, W], luminance, not clamped.
        ir: float [B, 1, H, W] in [0, 1], infrared.
        vis: float [B, 1, H, W] in [0, 1], visible luminance.
    """
    of_ir, of_vis = _edges(ir).mean(), _edges(vis).mean()
    both = of_ir + of_vis
    share = torch.where(both > 0, of_ir / both, 0.5)
    return _terms(fused, ir, vis, share)


def balanced(fused: Tensor, *, ir: Tensor, vis: Tensor) -> Terms:
    """The terms for medical pairs: a = 0.5; see ``by_gradient``."""
    return _terms(fused, ir, vis, fused.new_tensor(0.5))


TERMS: Mapping[str, TermsOf] = MappingProxyType(
    {"mambadfuse-ir-vis": by_gradient, "mambadfuse-medical": balanced}
)


def _terms(fused: Tensor, first: Tensor, second: Tensor, share: Tensor) -> Terms:
    intensity = functional.l1_loss(fused, torch.maximum(first, second))
    edges = functional.l1_loss(_edges(fused), torch.maximum(_edges(first), _edges(second)))
    similarity = share * _ssim(first, fused) + (1 - share) * _ssim(second, fused)
    return Terms(intensity, edges, 1 - similarity)


def _edges(image: Tensor) -> Tensor:
    """|Sobel_x| + |Sobel_y| with zeros around the image, [B, 1, H, W] to the same shape."""
    return gradient(functional.pad(image, (1, 1, 1, 1)))


def _ssim(first: Tensor, second: Tensor) -> Tensor:
    """SSIM with zeros around the images, the mean over a batch [B, 1, H, W]."""
    margin = 4 * (SSIM_WINDOW // 2,)
    return ssim(functional.pad(first, margin), functional.pad(second, margin)).mean()
