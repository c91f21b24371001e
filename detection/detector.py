"""The protocol that every detector follows."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from detection.boxes import Detections


class Detector(Protocol):
    """Finds objects in a batch of images.

    One whose attribute ``channels`` is 6 takes two stacked images of three channels.
    """

    @property
    def names(self) -> Mapping[int, str]:
        """Class names by class id."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, object]:
        """Identity of the detector: all that its boxes depend on, as JSON values.

        Two detectors that state the same are taken to be the same. `network`, `head`, `weights`,
        `weights_sha256`, `conf` and `iou` are shown beside scores if there are such.
        """
        ...

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the network's input for an image of this height and width."""
        ...

    def __call__(self, images: Tensor) -> list[Detections]:
        """Detect.

        Args:
            images: uint8 [B, 3, H, W], RGB, on the detector's device.

        Returns:
            One ``Detections`` per image, boxes in pixels of the given images, best score first.
        """
        ...
