"""Training pairs and their labels, decoded once into a cache.

A source is two folders of images or recordings, or generated streets. All its pairs are decoded
into one file, read through a memory map: what a step needs of them costs well under a millisecond a
crop, and no more memory than the system has to spare. The file is made again when a source's files
or settings change.
"""

import hashlib
import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import scenes
from common.errors import DataError
from eval.class_names import COCO_NAMES
from eval.labels import Labels, LabelSet
from pipeline.frames import BadPair, FramePair
from pipeline.images import list_images, pair_id, to_grey, to_rgb
from pipeline.sources.image_folder import ImagePairs
from training import streets
from training.config import Config
from training.source_config import FilesConfig, Folders, GeneratedConfig, SourceConfig

RECORDINGS = frozenset((".avi", ".mkv", ".mov", ".mp4"))

_Planes = NDArray[np.uint8]  # [H, W, 4]: red, green, blue, infrared; or one of the two alone
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The decoded pairs of one source, in a memory map.

    Attributes:
        ids: ``pipeline.images.pair_id`` of each.
        places: Where each begins in ``data``, its height and its width.
        truth: What is labelled in each, in its pixels; None where nothing is known of it.
        complete: Whether the labels name all that is to be seen.
        name: Tells the source and its settings apart from others.
        data: uint8, all of them, one after the other.
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
        """Those whose sides are at least so many pixels."""
        kept = [i for i, place in enumerate(self.places) if min(place[1:]) >= side]
        return replace(
            self,
            ids=tuple(self.ids[i] for i in kept),
            places=tuple(self.places[i] for i in kept),
            truth=tuple(self.truth[i] for i in kept),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """A pair as it goes into the cache; ``content`` names it by its pixels before any scaling."""

    content: str
    ir: _Planes
    vis: _Planes
    truth: Labels | None


def open_sources(config: Config) -> dict[str, Pairs]:
    """The pairs of all sources, decoded where the cache doesn't have them yet.

    Pairs smaller than a crop are left out, and the log says how many.

    Raises:
        DataError: A file is missing or wrong, a source has no pair that is large enough, or a pair
            is one that is held out.
    """
    sources = {}
    for name, source in config.sources.items():
        key = f"data.sources.{name}"
        found = _cached(source, config.data.cache, key)
        sources[name] = pairs = found.at_least(config.data.crop)
        if small := len(found) - len(pairs):
            _log.warning("%s: %d of %d pairs are smaller than a crop", key, small, len(found))
        if not pairs.ids:
            raise DataError(f"{key}: no pair is as large as a crop; set data.crop to less")
    check_held_out(sources, config.held_out)
    return sources


def check_held_out(sources: Mapping[str, Pairs], held_out: Mapping[str, Folders]) -> None:
    """Compare what is trained on with what must not be, by the pixels.

    Raises:
        DataError: A pair of a source is among those held out.
    """
    for held, folders in held_out.items():
        for pair in ImagePairs(list_images(folders.ir), list_images(folders.vis), None, None):
            content = pair_id(*_planes_of(pair))
            for name, trained_on in sources.items():
                if content in trained_on.ids:
                    raise DataError(
                        f"data.sources.{name}: holds {pair.key} of data.held_out.{held}, which "
                        "must not be trained on; leave it out with exclude or exclude_last"
                    )


def checked(pair: FramePair | BadPair) -> FramePair:
    """The pair, if it is whole.

    Raises:
        DataError: It is not.
    """
    if isinstance(pair, BadPair):
        raise DataError(pair.reason)
    if problem := pair.problem():
        raise DataError(problem)
    return pair


def _cached(source: SourceConfig, cache: Path, key: str) -> Pairs:
    """The pairs of a source, from the cache if they are there."""
    name = _digest(source, key)
    path, index = cache / f"{name}.bin", cache / f"{name}.json"
    if not index.is_file():
        _log.info("%s: decoding into %s", key, path)
        cache.mkdir(parents=True, exist_ok=True)
        _fill(path, index, _read(source, key))
    known = json.loads(index.read_text(encoding="utf-8"))
    places = tuple((start, height, width) for start, height, width in known["places"])
    truth = tuple(None if boxes is None else _labels(boxes) for boxes in known["truth"])
    data = np.memmap(path, np.uint8, "r") if places else np.zeros(0, np.uint8)
    complete = isinstance(source, GeneratedConfig)
    return Pairs(tuple(known["ids"]), places, truth, complete, name, data)


def _fill(path: Path, index: Path, pairs: Iterator[_Decoded]) -> None:
    """Write pairs one after the other; the index comes last and says that all are there."""
    partial = path.with_suffix(f".{os.getpid()}.partial")  # two trainings may decode at once
    known: dict[str, list[Any]] = {"ids": [], "places": [], "truth": []}
    try:
        with partial.open("wb") as file:
            for pair in pairs:
                known["ids"].append(pair.content)
                known["places"].append((file.tell(), *pair.ir.shape))
                known["truth"].append(None if pair.truth is None else _plain(pair.truth))
                file.write(np.dstack((pair.vis, pair.ir)).tobytes())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    partial.write_text(json.dumps(known), encoding="utf-8")
    partial.rename(index)


def _plain(labels: Labels) -> list[list[Any]]:
    return [labels.xyxy.tolist(), labels.class_id.tolist(), labels.ignore.tolist()]


def _labels(plain: list[list[Any]]) -> Labels:
    xyxy, class_id, ignore = plain
    return Labels(
        np.array(xyxy, np.float64).reshape(-1, 4),
        np.array(class_id, np.int64),
        np.array(ignore, np.float64).reshape(-1, 4),
    )


def _digest(source: SourceConfig, key: str) -> str:
    """Tells apart what a source decodes to, without decoding it."""
    known: list[Any] = [source.model_dump(mode="json", exclude={"weight", "detector"})]
    if isinstance(source, FilesConfig):
        files = [path for pair in _files(source, key).values() for path in pair]
        if source.labels is not None:
            files += sorted(source.labels.glob("*.txt"))
    else:
        # other code, other streets
        files = [Path(streets.__file__), *sorted(Path(scenes.__file__).parent.glob("*.py"))]
    known += [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=8).hexdigest()


def _read(source: SourceConfig, key: str) -> Iterator[_Decoded]:
    """All pairs of a source, scaled as it says."""
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
            content = stem if source.stems_are_ids else pair_id(grey, colour)
            decoded = _Decoded(content, grey, colour, truth)
            yield decoded if source.size is None else _scaled(decoded, source.size)


def _frames(stem: str, ir: Path, vis: Path, every: int) -> Iterator[FramePair | BadPair]:
    """The pairs of two files: one of images, each n-th whole one of recordings."""
    if ir.suffix.lower() not in RECORDINGS:
        yield from ImagePairs({stem: ir}, {stem: vis}, None, None)
        return
    from pipeline.sources import video  # here: images can be trained on where PyAV is missing

    with video.build(video.Config(ir=ir, vis=vis)) as recordings:
        # a frame without partner, as at the end of a recording, teaches nothing
        whole = (p for p in recordings if isinstance(p, BadPair) or (p.ir and p.vis))
        for number, pair in enumerate(whole):
            if isinstance(pair, BadPair) or number % every == 0:
                yield pair


def _scaled(pair: _Decoded, size: int) -> _Decoded:
    """The pair with its longest side of so many pixels, as the detector's protocol scales."""
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
    """Infrared [H, W] and visible [H, W, 3], uint8."""
    _, ir, vis = checked(pair).whole()
    return to_grey(ir.image), to_rgb(vis.image)


def _files(source: FilesConfig, key: str) -> dict[str, tuple[Path, Path]]:
    """Infrared and visible file by stem, sorted, without those that are excluded."""
    ir, vis = _by_stem(source.ir), _by_stem(source.vis)
    for stem in sorted(ir.keys() ^ vis.keys()):
        raise DataError(f"{key}: {ir.get(stem) or vis[stem]} has no partner of the same stem")
    for stem in source.exclude:
        if stem not in ir:
            raise DataError(f"{key}.exclude: there is no {stem!r} in {source.ir}")
    stems = sorted(ir)[: max(0, len(ir) - source.exclude_last)]
    return {stem: (ir[stem], vis[stem]) for stem in stems if stem not in source.exclude}


def _by_stem(folder: Path) -> dict[str, Path]:
    """The recordings of a folder by stem or, where there are none, its images."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    found = {path.stem: path for path in files if path.suffix.lower() in RECORDINGS}
    return found or list_images(folder)
