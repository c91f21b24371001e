"""What two cameras' images look like: colour where there should be none, and one picture twice."""

import logging
from typing import Literal

import numpy as np

from pipeline.frames import Image

log = logging.getLogger(__name__)
STEP = 8  # every eighth row and column is looked at
TINT = 12  # levels between channels: what a JPEG makes of grey stays below
SHARE = 0.02  # of the pixels: a coloured logo or time stamp on a grey image is no colour


class Looks:
    """Looks at the images of a source as they pass and warns of what is hardly meant so.

    Infrared in false colours is warned of at once, for its grey is no temperature: what is hot may
    come out darker than what is warm. All infrared images in colour and all visible ones grey, and
    one picture on both sides, are warned of by ``close``. Everything is said once.
    """

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._seen = {"ir": 0, "vis": 0}
        self._coloured = {"ir": 0, "vis": 0}
        self._pairs = self._alike = 0
        self._first_alike = ""

    def see(self, camera: Literal["ir", "vis"], image: Image, name: object) -> None:
        """Count an image: HW, or HWC RGB."""
        self._seen[camera] += 1
        coloured = in_colour(image)
        self._coloured[camera] += coloured
        if coloured and camera == "ir":
            self._say(
                "colour",
                f"{name}: infrared in colour: its luminance is fused, which is no temperature (hot "
                "may be darker than warm); export it in grey, or see whether source.ir is the "
                "infrared camera",
            )

    def compare(self, key: str, ir: Image, vis: Image) -> None:
        """Count a pair as decoded, both HW or HWC RGB uint8."""
        self._pairs += 1
        if same_picture(ir, vis):
            self._alike += 1
            self._first_alike = self._first_alike or key

    def close(self) -> None:
        """Warn of what only all images together show."""
        if (
            min(self._seen.values()) > 0
            and self._coloured["ir"] == self._seen["ir"]
            and not self._coloured["vis"]
        ):
            self._say(
                "exchanged",
                "all infrared images are in colour and all visible ones grey: are the cameras "
                "exchanged? then exchange source.ir and source.vis",
            )
        if self._alike:
            self._say(
                "alike",
                f"infrared and visible show the very same picture in {self._alike} of "
                f"{self._pairs} pairs, the first is {self._first_alike}: is one a copy of the "
                "other? see source.ir and source.vis",
            )

    def _say(self, what: str, text: str) -> None:
        if what not in self._said:
            self._said.add(what)
            log.warning("%s", text)


def in_colour(image: Image) -> bool:
    """Whether an image, HW or HWC RGB, has more colour than a compression makes of grey."""
    if image.ndim == 2:
        return False
    few = image[::STEP, ::STEP].astype(np.int16)
    tint = few.max(axis=2) - few.min(axis=2)
    return bool((tint > TINT).mean() > SHARE)


def same_picture(ir: Image, vis: Image) -> bool:
    """Whether two images have the same pixels, one perhaps as three channels; plain ones never."""
    if ir.dtype != vis.dtype or ir.shape[:2] != vis.shape[:2] or ir.size == 0:
        return False
    few_ir, few_vis = _channels(ir[::STEP, ::STEP]), _channels(vis[::STEP, ::STEP])
    if few_ir.min() == few_ir.max() or (few_ir != few_vis).any():
        return False
    return not bool((_channels(ir) != _channels(vis)).any())


def _channels(image: Image) -> Image:
    return image if image.ndim == 3 else image[:, :, None]
