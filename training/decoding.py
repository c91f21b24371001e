"""Reading the training pairs of a source, before they are cached."""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import scenes
from common.errors import ConfigError, DataError, shown
from eval.class_names import COCO_NAMES
from eval.labels import Labels, LabelSet
from pipeline.config import components
from pipeline.frames import BadPair, FramePair
from pipeline.images import list_images, pair_id, to_grey, to_rgb
from pipeline.sources._image_pairs import ImagePairs
from training import streets
from training.source_config import (
    FilesConfig,
    LabelledConfig,
    SourceConfig,
)

FORMAT = 3  # of the cache's files
RECORDINGS = frozenset((".avi", ".mkv", ".mov", ".mp4"))

_Planes = NDArray[np.uint8]  # [H, W, 4]: red, green, blue, infrared; or one of the two alone


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A pair as written to the cache; ``id`` is made of its pixels before scaling."""

    id: str
    key: str
    ir: _Planes
    vis: _Planes
    truth: Labels | None


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


def digest(source: SourceConfig, key: str) -> str:
    """Hash of all that determines a source's decoded content, without decoding it."""
    identity: list[Any] = [FORMAT, source.model_dump(mode="json", exclude={"weight", "detector"})]
    if isinstance(source, LabelledConfig):
        labelled = _labelled_images(source, key)
        files = [path for name in labelled.keys for path in labelled.files(name).values()]
        # read with the labels' own rules, from whatever files
        identity.append([(name, labelled.label_classes(name).tolist()) for name in labelled.keys])
        identity.append(labelled.label_digest)
    elif isinstance(source, FilesConfig):
        files = [path for pair in _files(source, key).values() for path in pair]
        if source.labels is not None:
            under = (source.labels, *source.labels.rglob("*"))
            files += sorted(path for path in under if path.is_file())
    else:
        # the code that draws the streets
        files = [Path(streets.__file__), *sorted(Path(scenes.__file__).parent.glob("*.py"))]
    identity += [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return hashlib.blake2b(json.dumps(identity).encode(), digest_size=8).hexdigest()


def read(source: SourceConfig, key: str) -> Iterator[Decoded]:
    """Decode all pairs of a source, scaled to its ``size``."""
    if isinstance(source, LabelledConfig):
        images = _labelled_images(source, key)
        for given in images:
            grey, colour = planes_of(given)
            truth = None
            if images.is_labelled(given.key):
                truth = images.labels(given.key, (grey.shape[0], grey.shape[1]))
            yield Decoded(pair_id(grey, colour), given.key, grey, colour, truth)
        return
    if not isinstance(source, FilesConfig):
        seeds = range(source.seed, source.seed + source.clips)
        for number, scene in enumerate(streets.many(seeds, source.frames, source.size)):
            key = f"{number:06d}"
            yield Decoded(pair_id(scene.ir, scene.vis), key, scene.ir, scene.vis, scene.labels)
        return
    labels = None
    if source.labels is not None:
        labels = LabelSet.open(source.labels, names=COCO_NAMES)
    for stem, (ir, vis) in _files(source, key).items():
        for pair in _frames(stem, ir, vis, source.every):
            grey, colour = planes_of(pair)
            truth = None
            if labels is not None and stem in labels.keys():  # noqa: SIM118  (not a mapping)
                truth = labels.get(stem, (grey.shape[0], grey.shape[1]))
            identity = stem if source.stems_are_ids else pair_id(grey, colour)
            decoded = Decoded(identity, pair.key, grey, colour, truth)
            yield decoded if source.size is None else _scaled(decoded, source.size)


def _labelled_images(source: LabelledConfig, key: str) -> ImagePairs:
    """The run's source of a training's.

    Raises:
        ConfigError: It is none of labelled images.
    """
    component = components.load("source", source.source, f"{key}.source")
    built = component.module.build(component.config, COCO_NAMES)
    if not isinstance(built, ImagePairs) or not built.has_labels:
        raise ConfigError(f"{key}.source: must be labelled images; {component.kind} gives none")
    return built


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


def _scaled(pair: Decoded, size: int) -> Decoded:
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


def planes_of(pair: FramePair | BadPair) -> tuple[_Planes, _Planes]:
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
