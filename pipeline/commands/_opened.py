"""What `irvis init` and `irvis inspect` look at: a source, and the settings that open it again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.config import components
from pipeline.frames import Image
from pipeline.interfaces import Source
from pipeline.sources import dataset


class Opened(NamedTuple):
    """A source.

    Attributes:
        source: The source, not iterated yet.
        settings: Those of the source; its ``kind`` where it doesn't follow from the inputs.
        title: What the data set calls itself; empty for other inputs.
    """

    source: Source
    settings: Mapping[str, Any]
    title: str = ""


def open_dataset(root: Path) -> Opened | None:
    """Open a folder, or a data.yaml, of a known layout; None if it isn't of any.

    Raises:
        errors.DataError: It is there in part, or its labels can't be read.
    """
    layout = dataset.recognise(root)
    if layout is None:
        return None
    settings: dict[str, Any] = {"layout": layout, "root": root}
    source = dataset.build(components.validate(dataset.Config, settings, "source"))
    if limits := range_of(source.first_infrared()):
        settings.update(limits)
        source = dataset.build(components.validate(dataset.Config, settings, "source"))
    return Opened(source, {"kind": "dataset", **settings}, source.title)


def range_of(image: Image) -> dict[str, tuple[float, float]]:
    """``ir_range`` for the range of most values of an infrared image with more than 8 bit."""
    if image.dtype == np.uint8:
        return {}
    finite = image[np.isfinite(image)]
    if not finite.size:
        return {}
    low, high = (float(f"{value:.6g}") for value in np.percentile(finite, (1, 99)))
    return {"ir_range": (low, high)} if low < high else {}
