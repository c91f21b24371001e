"""Training pairs and their labels, decoded once into a cache.

A source is two folders of images or recordings, or generated streets. All its pairs are decoded
into one file, which is memory-mapped: reading a crop takes well under a millisecond, and the
operating system can free the memory at any time. The file is made again when the source's files or
settings change.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

import scenes
from common.errors import DataError, cut, shown
from common.files import load_json, write_json
from eval.class_names import COCO_NAMES
from eval.labels import Labels, LabelSet
from pipeline.frames import BadPair, FramePair
from pipeline.images import list_images, pair_id, to_grey, to_rgb
from pipeline.sources._image_pairs import ImagePairs
from training import streets
from training.config import Config
from training.source_config import FilesConfig, Folders, GeneratedConfig, SourceConfig

RECORDINGS = frozenset((".avi", ".mkv", ".mov", ".mp4"))

_Side = Annotated[int, Field(ge=1, le=100_000)]  # pixels
_Planes = NDArray[np.uint8]  # [H, W, 4]: red, green, blue, infrared; or one of the two alone
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The decoded pairs of one source, in a memory map.

    Attributes:
        ids: ``pipeline.images.pair_id`` of each pair.
        places: Offset in ``data``, height and width of each pair.
        truth: Labels of each pair, in its pixels; None for an unlabelled one.
        complete: Whether all visible objects are labelled.
        name: Identifies the source's content and settings.
        data: uint8, all pairs, one after another.
    """

    ids: tuple[str, ...]
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
        kept = [i for i, place in enumerate(self.places) if min(place[1:]) >= side]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in kept),
            places=tuple(self.places[i] for i in kept),
            truth=tuple(self.truth[i] for i in kept),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """A pair as written to the cache; ``id`` is made of its pixels before scaling."""

    id: str
    ir: _Planes
    vis: _Planes
    truth: Labels | None


def open_sources(config: Config) -> dict[str, Pairs]:
    """Open the pairs of all sources, decoding those that are not in the cache.

    Pairs smaller than a crop are left out; their number is logged.

    Raises:
        DataError: A file is missing or invalid, a source has no pair that is large enough, or a
            pair is held out.
    """
    sources = {}
    for name, source in config.sources.items():
        key = f"data.sources.{name}"
        decoded = _cached(source, config.data.cache, key)
        sources[name] = pairs = decoded.at_least(config.data.crop)
        if small := len(decoded) - len(pairs):
            _log.warning("%s: %d of %d pairs are smaller than a crop", key, small, len(decoded))
        if not pairs.ids:
            raise DataError(f"{key}: all pairs are smaller than a crop; lower data.crop")
    check_held_out(sources, config.held_out)
    return sources


def check_held_out(sources: Mapping[str, Pairs], held_out: Mapping[str, Folders]) -> None:
    """Check by their pixels that no held-out pair is in a source.

    Raises:
        DataError: A source has a held-out pair.
    """
    for set_name, folders in held_out.items():
        for pair in ImagePairs(list_images(folders.ir), list_images(folders.vis), None, None):
            held_out_id = pair_id(*_planes_of(pair))
            for name, pairs in sources.items():
                if held_out_id in pairs.ids:
                    raise DataError(
                        f"data.sources.{name}: contains {pair.key} of data.held_out.{set_name}, "
                        "which must not be trained on; leave it out with exclude or exclude_last"
                    )


def checked(pair: FramePair | BadPair) -> FramePair:
    """Return the pair if it is complete and readable.

    Raises:
        DataError: It is not.
    """
    if isinstance(pair, BadPair):
        raise DataError(pair.reason)
    if problem := pair.problem():
        raise DataError(problem)
    return pair


def _cached(source: SourceConfig, cache: Path, key: str) -> Pairs:
    """Open the pairs of a source, decoding them if they are not in the cache."""
    name = _digest(source, key)
    path, index = cache / f"{name}.bin", cache / f"{name}.json"
    if not index.is_file():
        _log.info("%s: decoding into %s", key, path)
        cache.mkdir(parents=True, exist_ok=True)
        _fill(path, index, _read(source, key))
    try:
        content = _Index.model_validate(load_json(index))
        places, ids = content.places, content.ids
        truth = tuple(None if boxes is None else _labels(boxes) for boxes in content.truth)
        size = path.stat().st_size if places else 0
        if not len(places) == len(ids) == len(truth) or any(
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
    return Pairs(ids, places, truth, complete, name, data)


class _Index(BaseModel):
    """The positions of the pairs in a cache file, with their ids and labels."""

    ids: tuple[str, ...]
    places: tuple[tuple[Annotated[int, Field(ge=0)], _Side, _Side], ...]
    truth: list[tuple[list[list[float]], list[int], list[list[float]]] | None]


def _fill(path: Path, index: Path, pairs: Iterator[_Decoded]) -> None:
    """Write the pairs, then the index, whose existence means that all pairs are written."""
    # the process id, because two trainings may decode at the same time
    partial = path.with_suffix(f".{os.getpid()}.partial")
    content: dict[str, list[Any]] = {"ids": [], "places": [], "truth": []}
    try:
        with partial.open("wb") as file:
            for pair in pairs:
                content["ids"].append(pair.id)
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


def _digest(source: SourceConfig, key: str) -> str:
    """Hash of all that determines a source's decoded content, without decoding it."""
    identity: list[Any] = [source.model_dump(mode="json", exclude={"weight", "detector"})]
    if isinstance(source, FilesConfig):
        files = [path for pair in _files(source, key).values() for path in pair]
        if source.labels is not None:
            files += sorted(source.labels.glob("*.txt"))
    else:
        # the code that draws the streets
        files = [Path(streets.__file__), *sorted(Path(scenes.__file__).parent.glob("*.py"))]
    identity += [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.blake2b(json.dumps(identity).encode(), digest_size=8).hexdigest()


def _read(source: SourceConfig, key: str) -> Iterator[_Decoded]:
    """Decode all pairs of a source, scaled to its ``size``."""
    if not isinstance(source, FilesConfig):
        seeds = range(source.seed, source.seed + source.clips)
        for scene in streets.many(seeds, source.frames, source.size):
            yield _Decoded(pair_id(scene.ir, scene.vis), scene.ir, scene.vis, scene.labels)
        return
    labels = None
    if source.labels is not None:
        labels = LabelSet.open(source.labels, names=COCO_NAMES)
    for stem, (ir, vis) in _files(source, key).items():
        for pair in _frames(stem, ir, vis, source.every):
            grey, colour = _planes_of(pair)
            truth = None
            if labels is not None and stem in labels.keys():  # noqa: SIM118  (not a mapping)
                truth = labels.get(stem, (grey.shape[0], grey.shape[1]))
            identity = stem if source.stems_are_ids else pair_id(grey, colour)
            decoded = _Decoded(identity, grey, colour, truth)
            yield decoded if source.size is None else _scaled(decoded, source.size)


def _frames(stem: str, ir: Path, vis: Path, every: int) -> Iterator[FramePair | BadPair]:
    """The pair of two images, or each n-th complete pair of two recordings."""
    if ir.suffix.lower() not in RECORDINGS:
        yield from ImagePairs({stem: ir}, {stem: vis}, None, None)
        return
    from pipeline.sources import video  # imported here, as images do not need PyAV

    with video.build(video.Config(ir=ir, vis=vis)) as recordings:
        # without unpaired frames, such as those at the end of a recording
        complete = (p for p in recordings if isinstance(p, BadPair) or (p.ir and p.vis))
        for number, pair in enumerate(complete):
            if isinstance(pair, BadPair) or number % every == 0:
                yield pair


def _scaled(pair: _Decoded, size: int) -> _Decoded:
    """Scale a pair to the longest side ``size``, as the detector's letterbox does."""
    height, width = pair.ir.shape[:2]
    gain = size / max(height, width)
    if gain == 1:
        return pair
    new = (math.ceil(round(width * gain, 6)), math.ceil(round(height * gain, 6)))
    method = cv2.INTER_AREA if gain < 1 else cv2.INTER_LINEAR
    ir, vis = (np.asarray(cv2.resize(p, new, interpolation=method), np.uint8)
               for p in (pair.ir, pair.vis))  # fmt: skip
    truth = pair.truth
    if truth is not None:
        gains = np.tile([new[0] / width, new[1] / height], 2)
        truth = Labels(truth.xyxy * gains, truth.class_id, truth.ignore * gains)
    return replace(pair, ir=ir, vis=vis, truth=truth)


def _planes_of(pair: FramePair | BadPair) -> tuple[_Planes, _Planes]:
    """The infrared [H, W] and visible [H, W, 3] image of a pair, uint8."""
    _, ir, vis = checked(pair).whole()
    return to_grey(ir.image), to_rgb(vis.image)


def _files(source: FilesConfig, key: str) -> dict[str, tuple[Path, Path]]:
    """Infrared and visible file by stem, sorted, without excluded ones."""
    ir, vis = _by_stem(source.ir), _by_stem(source.vis)
    for stem in sorted(ir.keys() ^ vis.keys()):
        raise DataError(f"{key}: {ir.get(stem) or vis[stem]} has no partner of the same stem")
    for stem in source.exclude:
        if stem not in ir:
            raise DataError(f"{key}.exclude: {shown(stem)} is not in {source.ir}")
    stems = sorted(ir)[: max(0, len(ir) - source.exclude_last)]
    return {stem: (ir[stem], vis[stem]) for stem in stems if stem not in source.exclude}


def _by_stem(folder: Path) -> dict[str, Path]:
    """The recordings of a folder by stem or, if there are none, its images."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    recordings = {path.stem: path for path in files if path.suffix.lower() in RECORDINGS}
    return recordings or list_images(folder)
