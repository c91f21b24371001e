"""The protocol that every fuser follows."""

from typing import Protocol

from torch import Tensor


class Fuser(Protocol):
    """Turns a pair into one image, differentiably.

    A fuser with weights is a ``torch.nn.Module``, so that it can be moved to a device. A fuser
    without weights runs on the device of its inputs.
    """

    def __call__(self, *, ir: Tensor, vis: Tensor) -> Tensor:
        """Fuse a batch of pairs.

        Args:
            ir: float [B, 1, H, W] in [0, 1], infrared.
            vis: float [B, 3, H, W] in [0, 1], RGB, same device and dtype.

        Returns:
            float [B, 3, H, W] in [0, 1], RGB.
        """
        ...
