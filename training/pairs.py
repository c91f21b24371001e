"""Training pairs and their labels, decoded once into a cache.

A source is two folders of images or recordings, or generated streets. All its pairs are decoded
into one file, which is memory-mapped: reading a crop takes well under a millisecond, and the
operating system can free the memory at any time. The file is made again when the source's files or
settings change.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from common.errors import DataError, cut
from common.files import load_json, write_json
from eval.labels import Labels
from pipeline.images import list_images, pair_id
from pipeline.sources._image_pairs import ImagePairs
from training.config import Config
from training.decoding import Decoded, digest, planes_of, read
from training.source_config import (
    Folders,
    GeneratedConfig,
    SourceConfig,
)

_Side = Annotated[int, Field(ge=1, le=100_000)]  # pixels
_Planes = NDArray[np.uint8]  # [H, W, 4]: red, green, blue, infrared; or one of the two alone
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The decoded pairs of one source, in a memory map.

    Attributes:
        ids: ``pipeline.images.pair_id`` of each pair.
        keys: Key of each pair, its files' stem.
        places: Offset in ``data``, height and width of each pair.
        truth: Labels of each pair, in its pixels; None for an unlabelled one.
        complete: Whether all visible objects are labelled.
        name: Identifies the source's content and settings.
        data: uint8, all pairs, one after another.
    """

    ids: tuple[str, ...]
    keys: tuple[str, ...]
    places: tuple[tuple[int, int, int], ...]
    truth: tuple[Labels | None, ...]
    complete: bool
    name: str
    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> _Planes:
        start, height, width = self.places[index]
        return self.data[start : start + height * width * 4].reshape(height, width, 4)

    def at_least(self, side: int) -> "Pairs":
        """The pairs whose height and width are at least ``side``."""
        return self._of([i for i, place in enumerate(self.places) if min(place[1:]) >= side])

    def labelled(self) -> "Pairs":
        """The pairs with labels, empty ones among them."""
        return self._of([i for i, truth in enumerate(self.truth) if truth is not None])

    def _of(self, kept: Sequence[int]) -> "Pairs":
        """The pairs of these indices."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in kept),
            keys=tuple(self.keys[i] for i in kept),
            places=tuple(self.places[i] for i in kept),
            truth=tuple(self.truth[i] for i in kept),
        )


def open_sources(config: Config) -> dict[str, Pairs]:
    """Open the pairs of all sources, decoding those that are not in the cache.

    Pairs smaller than a crop are left out; their number is logged.

    Raises:
        DataError: A file is missing or invalid, a source has no pair that is large enough, or a
            pair is held out.
    """
    sources = {}
    for name, decoded in decoded_sources(config.sources, config.data.cache).items():
        key = f"data.sources.{name}"
        sources[name] = pairs = decoded.at_least(config.data.crop)
        if small := len(decoded) - len(pairs):
            _log.warning("%s: %d of %d pairs are smaller than a crop", key, small, len(decoded))
        if not pairs.ids:
            raise DataError(f"{key}: all pairs are smaller than a crop; lower data.crop")
    check_held_out(sources, config.held_out)
    return sources


def decoded_sources(sources: Mapping[str, SourceConfig], cache: Path) -> dict[str, Pairs]:
    """All pairs of each source, decoded into the cache where they aren't in it.

    Raises:
        DataError: A file is missing or invalid.
    """
    return {
        name: _cached(source, cache, f"data.sources.{name}") for name, source in sources.items()
    }


def check_held_out(sources: Mapping[str, Pairs], held_out: Mapping[str, Folders]) -> None:
    """Check by their pixels that no held-out pair is in a source.

    Raises:
        DataError: A source has a held-out pair.
    """
    for set_name, folders in held_out.items():
        for pair in ImagePairs(list_images(folders.ir), list_images(folders.vis), None, None):
            held_out_id = pair_id(*planes_of(pair))
            for name, pairs in sources.items():
                if held_out_id in pairs.ids:
                    raise DataError(
                        f"data.sources.{name}: contains {pair.key} of data.held_out.{set_name}, "
                        "which must not be trained on; leave it out with exclude or exclude_last"
                    )


def _cached(source: SourceConfig, cache: Path, key: str) -> Pairs:
    """Open the pairs of a source, decoding them if they are not in the cache."""
    name = digest(source, key)
    path, index = cache / f"{name}.bin", cache / f"{name}.json"
    if not index.is_file():
        _log.info("%s: decoding into %s", key, path)
        cache.mkdir(parents=True, exist_ok=True)
        _fill(path, index, read(source, key))
    try:
        content = _Index.model_validate(load_json(index))
        places, ids, keys = content.places, content.ids, content.keys
        truth = tuple(None if boxes is None else _labels(boxes) for boxes in content.truth)
        size = path.stat().st_size if places else 0
        if not len(places) == len(ids) == len(keys) == len(truth) or any(
            start + 4 * height * width > size for start, height, width in places
        ):
            raise ValueError("pairs are missing")
    except (DataError, OSError, ValueError) as error:
        raise DataError(
            f"{index}: is damaged ({cut(str(error), 200)}); remove it, and its pairs are decoded "
            "again"
        ) from error
    data = np.memmap(path, np.uint8, "r") if places else np.zeros(0, np.uint8)
    complete = isinstance(source, GeneratedConfig)
    return Pairs(ids, keys, places, truth, complete, name, data)


class _Index(BaseModel):
    """The positions of the pairs in a cache file, with their ids, keys and labels."""

    ids: tuple[str, ...]
    keys: tuple[str, ...]
    places: tuple[tuple[Annotated[int, Field(ge=0)], _Side, _Side], ...]
    truth: list[tuple[list[list[float]], list[int], list[list[float]]] | None]


def _fill(path: Path, index: Path, pairs: Iterator[Decoded]) -> None:
    """Write the pairs, then the index, whose existence means that all pairs are written."""
    # the process id, because two trainings may decode at the same time
    partial = path.with_suffix(f".{os.getpid()}.partial")
    content: dict[str, list[Any]] = {"ids": [], "keys": [], "places": [], "truth": []}
    try:
        with partial.open("wb") as file:
            for pair in pairs:
                content["ids"].append(pair.id)
                content["keys"].append(pair.key)
                content["places"].append((file.tell(), *pair.ir.shape))
                content["truth"].append(None if pair.truth is None else _plain(pair.truth))
                file.write(np.dstack((pair.vis, pair.ir)).tobytes())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    write_json(index, content)


def _plain(labels: Labels) -> list[list[Any]]:
    return [labels.xyxy.tolist(), labels.class_id.tolist(), labels.ignore.tolist()]


def _labels(plain: Sequence[Any]) -> Labels:
    xyxy, class_id, ignore = plain
    if len(xyxy) != len(class_id):
        raise ValueError("a box lacks its class")
    return Labels(
        np.array(xyxy, np.float64).reshape(-1, 4),
        np.array(class_id, np.int64),
        np.array(ignore, np.float64).reshape(-1, 4),
    )
