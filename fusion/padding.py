"""Reflect padding at the bottom and right to a multiple, for any size, and cropping back.

``torch.nn.functional.pad`` refuses a reflection that is longer than the image; the index is built
here, so that a 1 x 1 image pads as well as any other.
"""

import torch
from torch import Tensor


def reflected_index(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """The pixel that each place of a reflected axis shows, the edge pixel not repeated.

    The reflection has the period 2 (size − 1); an axis of one pixel repeats it.

    Args:
        size: Pixels of the axis, at least 1.
        before: Places wanted before the first pixel.
        after: Places wanted after the last pixel.
        device: Where the index is made.

    Returns:
        int64 [before + size + after], each in [0, size).
    """
    place = torch.arange(-before, size + after, device=device)  # [before + size + after]
    if size == 1:
        return torch.zeros_like(place)
    period = 2 * (size - 1)
    place = place.remainder(period)
    return torch.minimum(place, period - place)


def pad_to_multiple(image: Tensor, multiple: int = 32) -> Tensor:
    """Reflect-pad at the bottom and right until both sides are multiples.

    Args:
        image: [..., H, W], H and W at least 1.
        multiple: What the sides become multiples of.

    Returns:
        [..., H', W'] with the image in its top left corner; the image itself where nothing is
        missing. Undone by ``crop``. Differentiable.
    """
    for axis in (-2, -1):
        size = image.shape[axis]
        missing = -size % multiple
        if missing:
            index = reflected_index(size, 0, missing, image.device)
            image = image.index_select(axis, index)  # [..., H', W] then [..., H', W']
    return image


def crop(image: Tensor, height: int, width: int) -> Tensor:
    """The top left corner [..., height, width], a view."""
    return image[..., :height, :width]
