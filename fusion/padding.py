"""Reflect padding at the bottom and right to a multiple, and cropping back.

The index is computed here because ``torch.nn.functional.pad`` rejects a reflection that is longer
than the image. Any size works, also 1 x 1.
"""

import torch
from torch import Tensor


def reflected_index(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Source pixel of each pixel of a reflect-padded axis; the edge pixel is not repeated.

    The reflection has the period 2 (size − 1); a single pixel is repeated.

    Args:
        size: Pixels of the axis, at least 1.
        before: Pixels to add before the first one.
        after: Pixels to add after the last one.
        device: Device of the index.

    Returns:
        int64 [before + size + after], each in [0, size).
    """
    index = torch.arange(-before, size + after, device=device)  # [before + size + after]
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def pad_to_multiple(image: Tensor, multiple: int, margin: int = 0) -> Tensor:
    """Reflect-pad by a margin on all sides, then at the bottom and right until both are multiples.

    Args:
        image: [..., H, W], H and W at least 1.
        multiple: Both padded sides are multiples of it.
        margin: Pixels before the first and after the last one, at least.

    Returns:
        [..., H', W'] with the image ``margin`` pixels from its top left corner; the image itself
        where nothing is missing. Undone by ``crop``. Differentiable.
    """
    for axis in (-2, -1):
        size = image.shape[axis]
        missing = -(size + 2 * margin) % multiple
        if margin or missing:
            index = reflected_index(size, margin, margin + missing, image.device)
            image = image.index_select(axis, index)  # [..., H', W] then [..., H', W']
    return image


def pad_mirrored(image: Tensor, multiple: int) -> Tensor:
    """Pad at the bottom and right by 1 to ``multiple`` pixels until both sides are multiples.

    The image is mirrored with its edge pixel repeated, and on where it is smaller than what is
    missing. A side that is a multiple already gets another ``multiple`` pixels, as in the test
    scripts of SwinIR and its successors.

    Args:
        image: [..., H, W], H and W at least 1.
        multiple: Both padded sides are multiples of it.

    Returns:
        [..., H', W'] with the image in the top left corner. Undone by ``crop``. Differentiable.
    """
    for axis in (-2, -1):
        size = image.shape[axis]
        index = torch.arange(multiple * (size // multiple + 1), device=image.device)  # [H' or W']
        index = index.remainder(2 * size)
        index = torch.minimum(index, 2 * size - 1 - index)
        image = image.index_select(axis, index)  # [..., H', W] then [..., H', W']
    return image


def crop(image: Tensor, height: int, width: int, margin: int = 0) -> Tensor:
    """[..., height, width] at ``margin`` pixels from the top left corner, a view."""
    return image[..., margin : margin + height, margin : margin + width]
