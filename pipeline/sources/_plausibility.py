"""Plausibility checks of the two cameras' images: unexpected colour, and identical images."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.modality import Modality
from pipeline.frames import Image

log = logging.getLogger(__name__)
STEP = 8  # every eighth row and column is sampled
TINT = 12  # levels between channels; JPEG's artefacts on grey stay below
SHARE = 0.02  # of the pixels; a coloured logo or time stamp stays below


class Plausibility:
    """Checks the images of a source as they pass, and gives each warning once.

    It warns at once of infrared in false colours, whose luminance is not monotonic in temperature,
    and in ``close`` of exchanged cameras (all infrared images in colour, all visible ones grey) and
    of pairs with identical images.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        """Begin; where ``quiet``, warnings are kept for ``add`` of another one."""
        self._quiet = quiet
        self._given: dict[str, str] = {}  # warnings by kind
        self._images = {"ir": 0, "vis": 0}
        self._coloured = {"ir": 0, "vis": 0}
        self._pairs = self._identical = 0
        self._first_identical = ""

    def check(self, modality: Modality, image: Image, name: object) -> None:
        """Check an image: HW, or HWC RGB."""
        self._images[modality] += 1
        coloured = in_colour(image)
        self._coloured[modality] += coloured
        if coloured and modality == "ir":
            self._warn(
                "colour",
                f"{name}: infrared in colour: its luminance is fused, which is no temperature (hot "
                "may be darker than warm); export it in grey, or see whether source.ir is the "
                "infrared camera",
            )

    def compare(self, key: str, ir: Image, vis: Image) -> None:
        """Check a pair as decoded, both HW or HWC RGB uint8."""
        self._pairs += 1
        if identical(ir, vis):
            self._identical += 1
            self._first_identical = self._first_identical or key

    def state(self) -> dict[str, Any]:
        """What was seen so far, as plain values."""
        counts = {"pairs": self._pairs, "identical": self._identical, "key": self._first_identical}
        return {**counts, "images": self._images, "coloured": self._coloured, "said": self._given}

    def add(self, state: Mapping[str, Any]) -> None:
        """Go on after what another one saw."""
        for kind, text in state["said"].items():
            self._warn(kind, text)
        for camera in self._images:
            self._images[camera] += state["images"][camera]
            self._coloured[camera] += state["coloured"][camera]
        self._pairs += state["pairs"]
        self._identical += state["identical"]
        self._first_identical = self._first_identical or state["key"]

    def close(self) -> None:
        """Give the warnings that need all images."""
        if (
            min(self._images.values()) > 0
            and self._coloured["ir"] == self._images["ir"]
            and not self._coloured["vis"]
        ):
            self._warn(
                "exchanged",
                "all infrared images are in colour and all visible ones grey: are the cameras "
                "exchanged? then exchange source.ir and source.vis",
            )
        if self._identical:
            self._warn(
                "identical",
                f"infrared and visible show the very same picture in {self._identical} of "
                f"{self._pairs} pairs, the first is {self._first_identical}: is one a copy of the "
                "other? see source.ir and source.vis",
            )

    def _warn(self, kind: str, text: str) -> None:
        if kind not in self._given:
            self._given[kind] = text
            if not self._quiet:
                log.warning("%s", text)


def in_colour(image: Image) -> bool:
    """Whether an image, HW or HWC RGB, has more colour than compression artefacts of grey."""
    if image.ndim == 2:
        return False
    sample = image[::STEP, ::STEP].astype(np.int16)
    tint = sample.max(axis=2) - sample.min(axis=2)
    return bool((tint > TINT).mean() > SHARE)


def identical(ir: Image, vis: Image) -> bool:
    """Whether two images have the same pixels, grey or grey as RGB; False for uniform images."""
    if ir.dtype != vis.dtype or ir.shape[:2] != vis.shape[:2] or ir.size == 0:
        return False
    ir_sample, vis_sample = _channels(ir[::STEP, ::STEP]), _channels(vis[::STEP, ::STEP])
    if ir_sample.min() == ir_sample.max() or (ir_sample != vis_sample).any():
        return False
    return not bool((_channels(ir) != _channels(vis)).any())


def _channels(image: Image) -> Image:
    return image if image.ndim == 3 else image[:, :, None]
