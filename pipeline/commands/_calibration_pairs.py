"""The pairs from which `irvis calibrate` estimates: a few, evenly spaced over the input."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from common.errors import DataError
from pipeline.commands.fuse import open_pairs
from pipeline.frames import BadPair, Dropped, FramePair
from pipeline.geometry.alignment import Pair
from pipeline.images import to_grey
from pipeline.interfaces import Source
from pipeline.sources._image_pairs import ImagePairs

PAIRS = 40
_T = TypeVar("_T")


def open_evenly(ir: Path, vis: Path, settings: Mapping[str, Any]) -> Source:
    """The source of the pairs; of image folders, only those that are used are decoded."""
    source = open_pairs(ir, vis, settings)
    return source.of(spread(source.paired())) if isinstance(source, ImagePairs) else source


def read_pairs(source: Source) -> list[Pair]:
    """Up to 40 complete pairs, evenly spaced."""
    kept: list[Pair] = []
    step = 1
    with source:
        whole = (pair for pair in map(_checked, source) if pair is not None)
        for index, (key, pair) in enumerate(whole):
            if kept and [image.shape for image in pair] != [image.shape for image in kept[0]]:
                raise DataError(f"pair {key}: {_sizes(pair)}, the first {_sizes(kept[0])}; give "
                                "pairs of one camera setting")  # fmt: skip
            if index % step:
                continue
            kept.append(pair)
            if len(kept) == 2 * PAIRS:  # the number of all pairs is not known in advance
                kept, step = kept[::2], 2 * step
    return spread(kept)


def _checked(pair: FramePair | BadPair | Dropped) -> tuple[str, Pair] | None:
    """Key, infrared and visible luminance; None for an unpaired frame."""
    if isinstance(pair, BadPair):
        # the message names the setting of the source, which is a flag here
        raise DataError(pair.reason.replace("source.ir_range=[low,high]", "--ir-range LOW HIGH"))
    if isinstance(pair, Dropped) or pair.ir is None or pair.vis is None:
        return None
    return pair.key, (to_grey(pair.ir.image), to_grey(pair.vis.image))


def spread(items: Sequence[_T], most: int = PAIRS) -> list[_T]:
    """At most so many of the items, evenly spaced, including the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _sizes(pair: Pair) -> str:
    ir, vis = (size_text(image.shape) for image in pair)
    return f"infrared {ir} and visible {vis}"


def size_text(size: tuple[int, ...]) -> str:
    """Width x height of a shape (height, width)."""
    return f"{size[1]}x{size[0]}"
