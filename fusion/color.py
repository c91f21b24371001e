"""Luminance and chroma: BT.601, full range (the constants of JPEG/JFIF).

Y = 0.299 R + 0.587 G + 0.114 B, Cb = (B − Y) / 1.772, Cr = (R − Y) / 1.402 (ITU-T T.871, 2011,
section 7). Chroma has no offset here: it is in [−0.5, 0.5] and 0 for grey.

Y is computed as G + 0.299 (R − G) + 0.114 (B − G), which is equal but exact for grey in every
dtype, so that grey pixels stay grey.
"""

from typing import Protocol

import torch
from torch import Tensor

RED, GREEN, BLUE = 0.299, 0.587, 0.114
CB_SPAN = 2 * (1 - BLUE)  # 1.772, so that Cb is in [−0.5, 0.5]
CR_SPAN = 2 * (1 - RED)  # 1.402


class LuminanceFuser(Protocol):
    """Fuses two images of one channel."""

    def __call__(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Float [B, 1, H, W] each, in [0, 1], to [B, 1, H, W]."""
        ...


def rgb_to_ycbcr(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Split an image into luminance and chroma.

    Args:
        rgb: float [B, 3, H, W] in [0, 1].

    Returns:
        Luminance [B, 1, H, W] in [0, 1] and chroma (Cb, Cr) [B, 2, H, W] in [−0.5, 0.5], without
        offset. Differentiable; same dtype.
    """
    red, green, blue = torch.split(rgb, 1, dim=1)  # [B, 1, H, W] each
    y = green + RED * (red - green) + BLUE * (blue - green)  # [B, 1, H, W]
    cbcr = torch.cat(((blue - y) / CB_SPAN, (red - y) / CR_SPAN), dim=1)  # [B, 2, H, W]
    return y, cbcr


def ycbcr_to_rgb(y: Tensor, cbcr: Tensor) -> Tensor:
    """Join luminance and chroma: the inverse of ``rgb_to_ycbcr``, clamped.

    Args:
        y: float [B, 1, H, W].
        cbcr: float [B, 2, H, W], without offset.

    Returns:
        float [B, 3, H, W], clamped to [0, 1] (a new luminance can leave the RGB cube).
    """
    cb, cr = torch.split(cbcr, 1, dim=1)  # [B, 1, H, W] each
    red = y + CR_SPAN * cr
    green = y - (BLUE * CB_SPAN / GREEN) * cb - (RED * CR_SPAN / GREEN) * cr
    blue = y + CB_SPAN * cb
    return torch.cat((red, green, blue), dim=1).clamp(0, 1)  # [B, 3, H, W]


def fuse_luminance(fuse: LuminanceFuser, *, ir: Tensor, vis: Tensor) -> Tensor:
    """Fuse the infrared image with the visible luminance and keep the visible chroma.

    Args:
        fuse: The fuser of the two luminances.
        ir: float [B, 1, H, W] in [0, 1].
        vis: float [B, 3, H, W] in [0, 1], RGB.

    Returns:
        float [B, 3, H, W] in [0, 1]; three equal channels where ``vis`` is grey.
    """
    y, cbcr = rgb_to_ycbcr(vis)
    return ycbcr_to_rgb(fuse(ir=ir, vis=y), cbcr)


def check_luminances(ir: Tensor, vis: Tensor) -> None:
    """Refuse what is not two batches of images with one channel and one shape.

    Args:
        ir: Must be [B, 1, H, W].
        vis: Must have the same shape.

    Raises:
        ValueError: The shapes are not [B, 1, H, W] or differ.
    """
    if ir.shape != vis.shape or ir.dim() != 4 or ir.shape[1] != 1:
        raise ValueError(
            f"ir and vis must both be [B, 1, H, W]: {tuple(ir.shape)}, {tuple(vis.shape)}"
        )


def check_range(name: str, image: Tensor) -> None:
    """Check that an image has no values outside [0, 1].

    Args:
        name: Name of the image in the message.
        image: float [...].

    Raises:
        ValueError: Values are NaN or outside [0, 1].
    """
    low, high = torch.aminmax(image.detach())
    # a NaN pixel makes both NaN, and comparisons with NaN are false
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{name} has NaN or values outside [0, 1]: it spans {low.item()} to {high.item()}"
        )
