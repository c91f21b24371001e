"""The two modalities of a pair: infrared and visible."""

from collections.abc import Mapping
from typing import Literal

Modality = Literal["ir", "vis"]
MODALITIES: tuple[Modality, Modality] = ("ir", "vis")
CAMERA: Mapping[Modality, str] = {"ir": "infrared", "vis": "visible"}  # in words
OTHER: Mapping[Modality, Modality] = {"ir": "vis", "vis": "ir"}
