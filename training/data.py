"""Training pairs: decoded once into a cache, then random crops of them, a function of the step.

A source is two folders of images or recordings, or generated streets. All its pairs are decoded
into one file, read through a memory map: what a step needs of them costs well under a millisecond a
crop, and no more memory than the system has to spare. The file is made again when a source's files
or settings change.
"""

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import scenes
from common.errors import DataError
from pipeline.frames import BadPair, FramePair
from pipeline.images import list_images, pair_id, to_grey, to_rgb
from pipeline.sources import video
from pipeline.sources.image_folder import ImagePairs
from training import streets
from training.config import AugmentConfig, Config, FilesConfig, Folders, SourceConfig

RECORDINGS = frozenset((".avi", ".mkv", ".mov", ".mp4"))

_Planes = NDArray[np.uint8]  # [H, W, 4]: red, green, blue, infrared; or one of the two alone
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The decoded pairs of one source, in a memory map.

    Attributes:
        ids: ``pipeline.images.pair_id`` of each.
        places: Where each begins in ``data``, its height and its width.
        data: uint8, all of them, one after the other.
    """

    ids: tuple[str, ...]
    places: tuple[tuple[int, int, int], ...]
    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> _Planes:
        start, height, width = self.places[index]
        return self.data[start : start + height * width * 4].reshape(height, width, 4)

    def at_least(self, side: int) -> "Pairs":
        """Those whose sides are at least so many pixels."""
        kept = [i for i, place in enumerate(self.places) if min(place[1:]) >= side]
        ids, places = tuple(self.ids[i] for i in kept), tuple(self.places[i] for i in kept)
        return Pairs(ids, places, self.data)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Crops for one step.

    Attributes:
        seen: uint8 [B, 1, S, S], infrared as the network is given it: shifted in some crops.
        ir: uint8 [B, 1, S, S], infrared that lies on the visible image, for the loss.
        vis: uint8 [B, 3, S, S], RGB.
    """

    seen: Tensor
    ir: Tensor
    vis: Tensor


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


class Sampler:
    """Makes the batch of any step; the same for the same step, whatever was made before."""

    def __init__(self, config: Config, sources: Mapping[str, Pairs]) -> None:
        self._sources = [(pairs, config.sources[name].halve) for name, pairs in sources.items()]
        weights = np.array([config.sources[name].weight for name in sources])
        self._shares = weights / weights.sum()
        self._crop, self._augment = config.data.crop, config.data.augment
        self._batch, self._seed = config.compute.batch, config.schedule.seed

    def __call__(self, step: int) -> Batch:
        """The crops of a step, from 0."""
        rng = np.random.default_rng([self._seed, step])
        chosen = rng.choice(len(self._sources), size=self._batch, p=self._shares)
        crops = [self._draw(self._sources[number], rng) for number in chosen]
        batch = np.stack(crops).transpose(0, 3, 1, 2)  # [B, 5, S, S]
        vis, ir, seen = (np.ascontiguousarray(p) for p in np.split(batch, [3, 4], axis=1))
        return Batch(torch.from_numpy(seen), torch.from_numpy(ir), torch.from_numpy(vis))

    def _draw(self, source: tuple[Pairs, float], rng: np.random.Generator) -> NDArray[np.uint8]:
        """A crop, uint8 [S, S, 5]: red, green, blue, infrared, infrared as it is seen."""
        pairs, halve = source
        planes = pairs[int(rng.integers(len(pairs)))]
        crop = cut(planes, self._crop, rng, self._augment, halve=rng.random() < halve)
        if rng.random() < self._augment.darkened:
            crop[..., :3] = darken(crop[..., :3], rng)
        if self._augment.turned:
            crop = np.rot90(crop, int(rng.integers(4)))
        return crop[:, ::-1] if rng.random() < 0.5 else crop


def cut(
    planes: _Planes, side: int, rng: np.random.Generator, augment: AugmentConfig, *, halve: bool
) -> NDArray[np.uint8]:
    """A random crop, and its infrared as a camera beside the right place would see it.

    Args:
        planes: uint8 [H, W, 4].
        side: S, pixels of the crop; H and W are at least that.
        rng: Where and how far.
        augment: How many are shifted, and how far.
        halve: Whether 2S pixels become S, where the image has so many.

    Returns:
        uint8 [S, S, 5]: red, green, blue, infrared, infrared shifted. A shift stops at the image's
        border.
    """
    scale = 2 if halve and min(planes.shape[:2]) >= 2 * side else 1
    window = side * scale
    room = np.array(planes.shape[:2]) - window
    corner = rng.integers(room + 1)
    shift = rng.integers(-augment.shift, augment.shift + 1, size=2)
    moved = np.clip(corner + scale * shift, 0, room) if rng.random() < augment.shifted else corner
    (top, left), (seen_top, seen_left) = corner, moved
    aligned = planes[top : top + window, left : left + window]
    seen = planes[seen_top : seen_top + window, seen_left : seen_left + window, 3:]
    crop = np.concatenate((aligned, seen), axis=2)
    if scale == 1:
        return crop
    return np.asarray(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def darken(vis: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make night of an image: shadows sink, lamps stay.

    v becomes gain · v^gamma with a gain of 0.25 to 1 and a gamma of 1 to 2.5, in whole levels as a
    camera would give them.

    Args:
        vis: uint8 [..., 3].
        rng: How much.
    """
    gain, gamma = rng.uniform(0.25, 1.0), rng.uniform(1.0, 2.5)
    table = np.rint(255 * gain * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return table[vis]


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
    data = np.memmap(path, np.uint8, "r") if places else np.zeros(0, np.uint8)
    return Pairs(tuple(known["ids"]), places, data)


def _fill(path: Path, index: Path, pairs: Iterator[tuple[_Planes, _Planes]]) -> None:
    """Write pairs one after the other; the index comes last and says that all are there."""
    partial = path.with_suffix(f".{os.getpid()}.partial")  # two trainings may decode at once
    ids, places = [], []
    try:
        with partial.open("wb") as file:
            for ir, vis in pairs:
                ids.append(pair_id(ir, vis))
                places.append((file.tell(), *ir.shape))
                file.write(np.dstack((vis, ir)).tobytes())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    partial.write_text(json.dumps({"ids": ids, "places": places}), encoding="utf-8")
    partial.rename(index)


def _digest(source: SourceConfig, key: str) -> str:
    """Tells apart what a source decodes to, without decoding it."""
    known: list[Any] = [source.model_dump(mode="json", exclude={"weight", "halve"})]
    if isinstance(source, FilesConfig):
        files = [path for pair in _files(source, key).values() for path in pair]
    else:
        # other code, other streets
        files = [Path(streets.__file__), *sorted(Path(scenes.__file__).parent.glob("*.py"))]
    known += [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.blake2b(json.dumps(known).encode(), digest_size=8).hexdigest()


def _read(source: SourceConfig, key: str) -> Iterator[tuple[_Planes, _Planes]]:
    """Infrared [H, W] and visible [H, W, 3] of all pairs, uint8."""
    if not isinstance(source, FilesConfig):
        for seed in range(source.seed, source.seed + source.clips):
            for scene in streets.scenes(seed, source.frames, source.size):
                yield scene.ir, scene.vis
        return
    for stem, (ir, vis) in _files(source, key).items():
        if ir.suffix.lower() not in RECORDINGS:
            yield from map(_planes_of, ImagePairs({stem: ir}, {stem: vis}, None, None))
            continue
        with video.build(video.Config(ir=ir, vis=vis)) as recordings:
            for pair in recordings:
                # a frame without partner, as at the end of a recording, teaches nothing
                if isinstance(pair, BadPair) or (pair.ir is not None and pair.vis is not None):
                    yield _planes_of(pair)


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
