"""Looks at a source: sizes, depths, light and misalignment of some pairs, times of all frames."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from common.errors import DataError
from common.modality import MODALITIES, Modality
from eval.label_report import LabelReport
from eval.light import Light, light_of, named_light
from pipeline.commands._calibration_pairs import spread
from pipeline.commands._opened import range_of
from pipeline.frames import BadPair, Dropped, Image, Misalignment
from pipeline.geometry.misalignment import misalignment
from pipeline.images import to_eight_bit, to_grey
from pipeline.sources._image_pairs import ImagePairs
from pipeline.sources._plausibility import Plausibility, in_colour
from pipeline.sources._recordings import RecordedPairs

Show = Callable[[int, int | None], None]
GAP = 1.5  # of the usual time between frames
_DEPTHS = {np.dtype(np.uint8): "8 bit", np.dtype(np.uint16): "16 bit"}


@dataclass(slots=True)
class Camera:
    """One camera.

    Attributes:
        alone: Its images without partner.
        kinds: How many of the images that were looked at have a width, height and kind of pixels.
        times: Of its frames in nanoseconds, for recordings.
    """

    alone: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    times: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Inspection:
    """What is in a source.

    Attributes:
        title: What a data set calls itself; empty for other inputs.
        pairs: Complete pairs in all.
        looked: Pairs whose pixels were looked at.
        cameras: By modality.
        labels: What the labels hold, None without any.
        empty: Pairs with no object of the labels.
        named: Pairs by day and night, as far as their names say it.
        bright: Of the pairs that were looked at, the others by their brightness.
        shifts: Misalignment of the pairs that were looked at and have one size.
        unequal: Pairs that were looked at and have two sizes.
        damaged: Why pairs can't be read.
    """

    title: str = ""
    pairs: int = 0
    looked: int = 0
    cameras: dict[Modality, Camera] = field(
        default_factory=lambda: {camera: Camera() for camera in MODALITIES}
    )
    labels: LabelReport | None = None
    empty: int = 0
    named: Counter[str] = field(default_factory=Counter)
    bright: Counter[str] = field(default_factory=Counter)
    shifts: list[Misalignment] = field(default_factory=list)
    unequal: int = 0
    damaged: list[str] = field(default_factory=list)


def sample_stills(source: ImagePairs, title: str, count: int, show: Show) -> Inspection:
    """Look at pairs of images, of which some are decoded as their files have them.

    Args:
        source: The pairs.
        title: What the data set calls itself.
        count: Pairs that are decoded.
        show: Called with the number of those that are done, and of all.
    """
    found = Inspection(title, len(source.paired()))
    for key in source.keys:
        files = source.files(key)
        if len(files) == 1:
            found.cameras[next(iter(files))].alone += 1
    _add_labels(found, source, source.keys)
    checks = Plausibility()
    chosen = spread(source.paired(), count)
    for done, key in enumerate(chosen, 1):
        files = source.files(key)
        try:
            images = {camera: source.image(files[camera], camera) for camera in MODALITIES}
        except DataError as error:
            found.damaged.append(str(error))
            continue
        for camera, image in images.items():
            found.cameras[camera].kinds[_kind(image)] += 1
            checks.check(camera, image, files[camera])
        limits = range_of(images["ir"]).get("ir_range", (0.0, 1.0))
        ir = to_eight_bit(images["ir"], limits, files["ir"])
        if images["vis"].dtype == np.uint8:
            checks.compare(key, ir, images["vis"])
            _add_look(found, _look(key, ir, images["vis"]))
        show(done, len(chosen))
    checks.close()
    return found


def watch_recordings(source: RecordedPairs, count: int, show: Show) -> Inspection:
    """Look at two recordings, whose frames are all decoded.

    Args:
        source: The recordings.
        count: Pairs whose pixels are looked at, or up to twice as many.
        show: Called with the number of pairs so far, and of all if known.
    """
    found = Inspection(labels=source.label_report)
    kept: list[_Look] = []
    step = 1
    for done, pair in enumerate(source, 1):
        show(done, source.count)
        if isinstance(pair, BadPair):
            found.damaged.append(pair.reason)
        if isinstance(pair, BadPair | Dropped):
            continue
        frames = {"ir": pair.ir, "vis": pair.vis}
        for camera in MODALITIES:
            if (frame := frames[camera]) is not None and frame.timestamp_ns is not None:
                found.cameras[camera].times.append(frame.timestamp_ns)
        if pair.ir is None or pair.vis is None:
            found.cameras["vis" if pair.ir is None else "ir"].alone += 1
            continue
        if source.has_labels and len(source.label_classes(source.label_key(pair))) == 0:
            found.empty += 1
        for camera, frame in (("ir", pair.ir), ("vis", pair.vis)):
            found.cameras[camera].kinds[_kind(frame.image, f"{source.bits[camera]} bit")] += 1
        if found.pairs % step == 0:
            kept.append(_look(pair.key, pair.ir.image, pair.vis.image))
            if len(kept) == 2 * count:  # the number of all pairs is not known in advance
                kept, step = kept[::2], 2 * step
        found.pairs += 1
    for look in kept:
        _add_look(found, look)
    return found


def _add_labels(found: Inspection, source: ImagePairs, keys: Sequence[str]) -> None:
    found.labels = source.label_report
    for key in keys:
        if found.labels is not None and len(source.label_classes(key)) == 0:
            found.empty += 1
        if (light := named_light(key)) is not None:
            found.named[light] += 1


class _Look(NamedTuple):
    """Light by brightness where the name doesn't say it; misalignment of images of one size."""

    light: Light | None
    shift: Misalignment | None


def _look(key: str, ir: Image, vis: Image) -> _Look:
    """Look at one pair, 8 bit."""
    luminance = to_grey(vis)
    light = None if named_light(key) else light_of(key, float(luminance.mean()))
    if ir.shape[:2] != vis.shape[:2]:
        return _Look(light, None)
    return _Look(light, misalignment(ir=to_grey(ir), vis=luminance))


def _add_look(found: Inspection, look: _Look) -> None:
    found.looked += 1
    if look.light is not None:
        found.bright[look.light] += 1
    if look.shift is None:
        found.unequal += 1
    else:
        found.shifts.append(look.shift)


def _kind(image: Image, depth: str = "") -> str:
    """Like ``640x512, 8 bit grey``."""
    depth = depth or _DEPTHS.get(image.dtype, "float")
    colour = "grey" if image.ndim == 2 else "colour" if in_colour(image) else "grey in 3 channels"
    return f"{image.shape[1]}x{image.shape[0]}, {depth} {colour}"
