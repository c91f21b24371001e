"""The protocol that every segmenter follows."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor


class Segmenter(Protocol):
    """Finds the label of each pixel.

    One whose attribute ``channels`` is 6 takes two stacked images of three channels.
    """

    @property
    def names(self) -> Mapping[int, str]:
        """Class names by label, 0 to 255; the labels are those of masks."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """Identity of the segmenter: all that its masks depend on, as JSON values."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Segment.

        Args:
            images: uint8 [B, 3 or 6, H, W], RGB, on the segmenter's device.

        Returns:
            uint8 [B, H, W], the label of each pixel.
        """
        ...
