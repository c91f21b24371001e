"""Fusion in a Laplacian pyramid, with the visible chroma.

The pyramid is Burt and Adelson's ("The Laplacian pyramid as a compact image code", IEEE
Transactions on Communications 31(4), 1983): blur with the binomial (1, 4, 6, 4, 1) / 16 and keep
every second pixel; the detail of a level is its difference from the enlarged next level. The fusion
rule is that of Burt and Kolczynski ("Enhanced image capture through fusion", ICCV 1993) in its
simplest form: at each pixel the detail of larger magnitude, and the mean of the two coarsest
images. Borders are those of OpenCV's ``pyrDown`` and ``pyrUp``.
"""

import torch
from pydantic import Field
from torch import Tensor

from common.component import ArmConfig
from fusion.color import fuse_luminance
from fusion.fuser import Fuser
from fusion.padding import reflected_index


class Config(ArmConfig):
    """Settings of the pyramid."""

    levels: int = Field(
        4, ge=1, le=12, description="detail levels, 1 to 12; fewer where the image is too small"
    )

    @property
    def margin(self) -> int:
        """Four rows of the coarsest image.

        What is missing at a band's edge reaches two rows of each coarser image, and on the way
        back w rows become 2 w + 1: under 3 * 2^levels in all.
        """
        return 4 << self.levels


class LaplacianFuser:
    """Fuses luminances level by level of a Laplacian pyramid."""

    def __init__(self, levels: int) -> None:
        self._levels = levels

    def __call__(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of pairs.

        Args:
            ir: float [B, 1, H, W] in [0, 1].
            vis: float [B, 3, H, W] in [0, 1], RGB.

        Returns:
            float [B, 3, H, W], clamped to [0, 1], RGB. The pyramid has the configured levels, or
            as many as leave the shorter side at least one pixel: floor(log2(min(H, W))).
        """
        return fuse_luminance(self._fuse, ir=ir, vis=vis)

    def _fuse(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        levels = min(self._levels, min(ir.shape[-2:]).bit_length() - 1)
        details = []
        for _ in range(levels):
            ir_detail, ir = _split(ir)  # [B, 1, H, W] and [B, 1, ceil(H/2), ceil(W/2)]
            vis_detail, vis = _split(vis)
            # equal magnitudes: visible
            details.append(torch.where(ir_detail.abs() > vis_detail.abs(), ir_detail, vis_detail))
        fused = (ir + vis) / 2
        for detail in reversed(details):
            fused = detail + pyramid_up(fused, detail.shape[-2], detail.shape[-1])
        return fused


def build(config: Config) -> Fuser:
    """Return the fuser."""
    return LaplacianFuser(config.levels)


def pyramid_down(image: Tensor) -> Tensor:
    """Blur with (1, 4, 6, 4, 1) / 16 along both axes and keep the even rows and columns.

    Args:
        image: float [..., H, W].

    Returns:
        float [..., ceil(H/2), ceil(W/2)].
    """
    for axis in (-2, -1):
        size = image.shape[axis]
        padded = image.index_select(axis, reflected_index(size, 2, 2, image.device))
        near = [_every_second(padded, axis, start, (size + 1) // 2) for start in range(5)]
        image = (near[0] + near[4] + 4 * (near[1] + near[3]) + 6 * near[2]) / 16
    return image


def pyramid_up(image: Tensor, height: int, width: int) -> Tensor:
    """Double the size: zeros between the pixels, then the blur of ``pyramid_down`` times 4.

    Args:
        image: float [..., H, W].
        height: Rows of the result, 2 H or 2 H − 1.
        width: Columns of the result, 2 W or 2 W − 1.

    Returns:
        float [..., height, width].
    """
    for axis, new_size in ((-2, height), (-1, width)):
        size = image.shape[axis]
        # the reflection is of the doubled axis, whose odd pixels are zero
        doubled = reflected_index(2 * size, 2, 2, image.device)
        padded = image.index_select(axis, doubled[::2] // 2)  # size + 2 along the axis
        before, here, after = (padded.narrow(axis, start, size) for start in range(3))
        even, odd = (before + 6 * here + after) / 8, (here + after) / 2
        pairs = torch.stack((even, odd), dim=axis)  # [..., H, 2, W], then [..., W, 2]
        image = pairs.flatten(axis - 1, axis).narrow(axis, 0, new_size)
    return image


def _split(image: Tensor) -> tuple[Tensor, Tensor]:
    """The detail of this level and the next coarser image."""
    coarse = pyramid_down(image)
    return image - pyramid_up(coarse, image.shape[-2], image.shape[-1]), coarse


def _every_second(image: Tensor, axis: int, start: int, count: int) -> Tensor:
    """Take ``count`` pixels along the axis, every second one from ``start`` on."""
    pixels = slice(start, start + 2 * count - 1, 2)
    return image[..., pixels, :] if axis == -2 else image[..., pixels]
