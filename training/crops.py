"""Random crops of training pairs with what is to be seen in them, a function of the step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.config import AugmentConfig, Config
from training.pairs import Pairs
from training.targets import TARGET, WEIGHT, Targets

SHOWN = 0.4  # of an object's area must be in the crop; of less nobody knows how it should be seen

_Planes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Crops for one step.

    Attributes:
        seen: uint8 [B, 1, S, S], infrared as the network is given it: shifted in some crops.
        ir: uint8 [B, 1, S, S], infrared that lies on the visible image, for the loss.
        vis: uint8 [B, 3, S, S], RGB.
        targets: A float32 [n, 6] a crop, see ``training.targets``, in pixels of the crop.
        detectors: The name of the one that judges each crop; None where none does.
    """

    seen: Tensor
    ir: Tensor
    vis: Tensor
    targets: tuple[Tensor, ...]
    detectors: tuple[str | None, ...]

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        together = torch.cat(self.targets).to(device)  # at once: each copy is waited for
        return Batch(
            self.seen.to(device),
            self.ir.to(device),
            self.vis.to(device),
            torch.split(together, [len(targets) for targets in self.targets]),
            self.detectors,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    pairs: Pairs
    targets: Sequence[Targets] | None
    detector: str | None


class Sampler:
    """Makes the batch of any step; the same for the same step, whatever was made before."""

    def __init__(
        self,
        config: Config,
        pairs: Mapping[str, Pairs],
        targets: Mapping[str, Sequence[Targets]],
    ) -> None:
        """Take the sources.

        Args:
            config: Shares of sources and what is done to crops.
            pairs: By the name of the source.
            targets: Those of each of its pairs, for sources that a detector judges.
        """
        self._sources = [
            _Source(some, targets.get(name), config.sources[name].detector)
            for name, some in pairs.items()
        ]
        weights = np.array([config.sources[name].weight for name in pairs])
        self._shares = weights / weights.sum()
        self._crop, self._augment = config.data.crop, config.data.augment
        self._batch, self._seed = config.compute.batch, config.schedule.seed

    def __call__(self, step: int) -> Batch:
        """The crops of a step, from 0."""
        rng = np.random.default_rng([self._seed, step])
        chosen = rng.choice(len(self._sources), size=self._batch, p=self._shares)
        crops, targets = zip(*(self._draw(self._sources[i], rng) for i in chosen), strict=True)
        batch = np.stack(crops).transpose(0, 3, 1, 2)  # [B, 5, S, S]
        vis, ir, seen = (np.ascontiguousarray(p) for p in np.split(batch, [3, 4], axis=1))
        return Batch(
            torch.from_numpy(seen),
            torch.from_numpy(ir),
            torch.from_numpy(vis),
            tuple(torch.from_numpy(some) for some in targets),
            tuple(self._sources[i].detector for i in chosen),
        )

    def _draw(self, source: _Source, rng: np.random.Generator) -> tuple[_Planes, Targets]:
        """A crop, uint8 [S, S, 5]: red, green, blue, infrared, infrared as it is seen."""
        number, augment = int(rng.integers(len(source.pairs))), self._augment
        planes = source.pairs[number]
        targets = np.zeros((0, TARGET), np.float32)
        if source.targets is not None:
            targets = source.targets[number]
        objects = targets[targets[:, WEIGHT] > 0]
        middle = None
        if len(objects) and rng.random() < augment.centred:
            box = objects[int(rng.integers(len(objects)))]
            middle = (float(box[1] + box[3]) / 2, float(box[0] + box[2]) / 2)
        window = window_of(planes.shape[:2], self._crop, rng, augment, middle)
        crop = cut(planes, window, self._crop, rng, augment)
        targets = cut_targets(targets, window, self._crop)
        if rng.random() < augment.darkened:
            crop[..., :3] = darken(crop[..., :3], rng)
        for _ in range(int(rng.integers(4)) if augment.turned else 0):
            crop, targets = np.rot90(crop), _rotated(targets, self._crop)
        if rng.random() < 0.5:
            crop, targets = crop[:, ::-1], _flipped(targets, self._crop)
        return crop, targets


@dataclass(frozen=True, slots=True)
class Window:
    """A square of an image, pixels."""

    top: int
    left: int
    side: int


def window_of(
    size: tuple[int, ...],
    side: int,
    rng: np.random.Generator,
    augment: AugmentConfig,
    middle: tuple[float, float] | None,
) -> Window:
    """A random window that becomes a crop.

    Args:
        size: Height and width of the image, both at least ``side``.
        side: S, pixels of the crop.
        rng: Where, and how large.
        augment: How far the window's side may be from ``side``.
        middle: y and x of an object that should lie within a quarter of the window from its
            middle; None for anywhere.
    """
    height, width = size
    zoom = np.exp(rng.uniform(-1, 1) * np.log(augment.zoomed))
    length = int(np.clip(round(side * zoom), 1, min(height, width)))
    room = np.array([height - length, width - length])
    if middle is None:
        top, left = rng.integers(room + 1)
    else:
        apart = rng.uniform(-0.25, 0.25, 2) * length
        corner = np.array(middle) + apart - length / 2
        top, left = np.clip(np.rint(corner), 0, room).astype(int)
    return Window(int(top), int(left), length)


def cut(
    planes: _Planes, window: Window, side: int, rng: np.random.Generator, augment: AugmentConfig
) -> _Planes:
    """A crop, and its infrared as a camera beside the right place would see it.

    Args:
        planes: uint8 [H, W, 4].
        window: What becomes the crop.
        side: S, pixels of the crop.
        rng: How far infrared is shifted.
        augment: How many are shifted, and how far.

    Returns:
        uint8 [S, S, 5]: red, green, blue, infrared, infrared shifted. A shift stops at the image's
        border.
    """
    top, left, length = window.top, window.left, window.side
    room = np.array(planes.shape[:2]) - length
    shift = rng.integers(-augment.shift, augment.shift + 1, size=2)
    seen_top, seen_left = top, left
    if rng.random() < augment.shifted:
        seen_top, seen_left = np.clip([top + shift[0], left + shift[1]], 0, room)
    aligned = planes[top : top + length, left : left + length]
    seen = planes[seen_top : seen_top + length, seen_left : seen_left + length, 3:]
    if length != side:
        method = cv2.INTER_AREA if length > side else cv2.INTER_LINEAR
        # two calls: OpenCV takes at most four channels at once
        aligned = np.asarray(cv2.resize(aligned, (side, side), interpolation=method), np.uint8)
        seen = np.asarray(cv2.resize(seen, (side, side), interpolation=method), np.uint8)[..., None]
    return np.concatenate((aligned, seen), axis=2)


def cut_targets(targets: Targets, window: Window, side: int) -> Targets:
    """What is left of targets in a crop, in its pixels.

    Objects of which less than ``SHOWN`` is left become regions that count neither way.
    """
    boxes = (targets[:, :4] - np.tile([window.left, window.top], 2)) * (side / window.side)
    inside = np.clip(boxes, 0, side)
    area, left = _area(boxes), _area(inside)
    kept = left > 0
    weights = np.where(left < SHOWN * area, 0, targets[:, WEIGHT])
    moved = np.column_stack((inside, targets[:, 4], weights))
    return moved[kept].astype(np.float32)


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


def _area(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1))


def _flipped(targets: Targets, side: int) -> Targets:
    """Targets of a crop whose columns are reversed."""
    flipped = targets.copy()
    flipped[:, [0, 2]] = side - targets[:, [2, 0]]
    return flipped


def _rotated(targets: Targets, side: int) -> Targets:
    """Targets of a crop that is turned by a quarter as ``np.rot90`` does: (x, y) to (y, S − x)."""
    rotated = targets.copy()
    rotated[:, [0, 2]] = targets[:, [1, 3]]
    rotated[:, [1, 3]] = side - targets[:, [2, 0]]
    return rotated
