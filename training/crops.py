"""Random crops of training pairs with their targets, a function of the step."""

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

SHOWN = 0.4  # least share of an object's area in the crop; with less it is ignored

_Planes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The crops of one step.

    Attributes:
        ir_input: uint8 [B, 1, S, S], infrared for the network, misaligned in some crops.
        ir: uint8 [B, 1, S, S], infrared aligned with the visible image, for the loss.
        vis: uint8 [B, 3, S, S], RGB.
        targets: One float32 [n, 6] per crop, in pixels of the crop; see ``training.targets``.
        detectors: Name of the detector of each crop; None without one.
    """

    ir_input: Tensor
    ir: Tensor
    vis: Tensor
    targets: tuple[Tensor, ...]
    detectors: tuple[str | None, ...]

    def to(self, device: torch.device) -> "Batch":
        """Copy the batch to a device."""
        all_targets = torch.cat(self.targets).to(device)  # one copy, as each copy synchronizes
        return Batch(
            self.ir_input.to(device),
            self.ir.to(device),
            self.vis.to(device),
            torch.split(all_targets, [len(targets) for targets in self.targets]),
            self.detectors,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    pairs: Pairs
    targets: Sequence[Targets] | None
    detector: str | None


class Sampler:
    """Makes the batch of a step, which depends on nothing else."""

    def __init__(
        self,
        config: Config,
        pairs: Mapping[str, Pairs],
        targets: Mapping[str, Sequence[Targets]],
    ) -> None:
        """Prepare sampling from the sources.

        Args:
            config: Shares of the sources, and augmentation.
            pairs: Pairs by the name of the source.
            targets: Targets of each pair, by the name of the source, for sources with a detector.
        """
        self._sources = [
            _Source(source_pairs, targets.get(name), config.sources[name].detector)
            for name, source_pairs in pairs.items()
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
        vis, ir, ir_input = (np.ascontiguousarray(p) for p in np.split(batch, [3, 4], axis=1))
        return Batch(
            torch.from_numpy(ir_input),
            torch.from_numpy(ir),
            torch.from_numpy(vis),
            tuple(torch.from_numpy(rows) for rows in targets),
            tuple(self._sources[i].detector for i in chosen),
        )

    def _draw(self, source: _Source, rng: np.random.Generator) -> tuple[_Planes, Targets]:
        """Make a crop, uint8 [S, S, 5]: red, green, blue, infrared, infrared for the network."""
        number, augment = int(rng.integers(len(source.pairs))), self._augment
        planes = source.pairs[number]
        targets = np.zeros((0, TARGET), np.float32)
        if source.targets is not None:
            targets = source.targets[number]
        objects = targets[targets[:, WEIGHT] > 0]
        centre = None
        if len(objects) and rng.random() < augment.centred:
            box = objects[int(rng.integers(len(objects)))]
            centre = (float(box[1] + box[3]) / 2, float(box[0] + box[2]) / 2)
        window = window_of(planes.shape[:2], self._crop, rng, augment, centre)
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
    centre: tuple[float, float] | None,
) -> Window:
    """Choose the random window of a crop.

    Args:
        size: Height and width of the image, both at least ``side``.
        side: S, pixels of the crop.
        rng: Random generator of position and size.
        augment: Settings; ``zoomed`` is the largest factor between window and ``side``.
        centre: y and x of an object; the window's centre is at most a quarter of the window from
            it along each axis. None: anywhere.
    """
    height, width = size
    zoom = np.exp(rng.uniform(-1, 1) * np.log(augment.zoomed))
    length = int(np.clip(round(side * zoom), 1, min(height, width)))
    room = np.array([height - length, width - length])
    if centre is None:
        top, left = rng.integers(room + 1)
    else:
        offset = rng.uniform(-0.25, 0.25, 2) * length
        corner = np.array(centre) + offset - length / 2
        top, left = np.clip(np.rint(corner), 0, room).astype(int)
    return Window(int(top), int(left), length)


def cut(
    planes: _Planes, window: Window, side: int, rng: np.random.Generator, augment: AugmentConfig
) -> _Planes:
    """Cut a crop out of a pair, with infrared aligned and misaligned.

    Args:
        planes: uint8 [H, W, 4].
        window: The window of the crop.
        side: S, pixels of the crop.
        rng: Random generator of the misalignment.
        augment: Share of misaligned crops, and largest misalignment.

    Returns:
        uint8 [S, S, 5]: red, green, blue, infrared, misaligned infrared. The misaligned window
        stays inside the image.
    """
    top, left, length = window.top, window.left, window.side
    room = np.array(planes.shape[:2]) - length
    misalignment = rng.integers(-augment.shift, augment.shift + 1, size=2)
    ir_top, ir_left = top, left
    if rng.random() < augment.shifted:
        ir_top, ir_left = np.clip([top + misalignment[0], left + misalignment[1]], 0, room)
    aligned = planes[top : top + length, left : left + length]
    ir_input = planes[ir_top : ir_top + length, ir_left : ir_left + length, 3:]
    if length != side:
        method = cv2.INTER_AREA if length > side else cv2.INTER_LINEAR
        # two calls, because OpenCV resizes at most four channels
        aligned = np.asarray(cv2.resize(aligned, (side, side), interpolation=method), np.uint8)
        ir_input = np.asarray(cv2.resize(ir_input, (side, side), interpolation=method), np.uint8)
        ir_input = ir_input[..., None]
    return np.concatenate((aligned, ir_input), axis=2)


def cut_targets(targets: Targets, window: Window, side: int) -> Targets:
    """Clip targets to a crop, in its pixels.

    An object with less than ``SHOWN`` of its area in the crop becomes a region to ignore.
    """
    boxes = (targets[:, :4] - np.tile([window.left, window.top], 2)) * (side / window.side)
    inside = np.clip(boxes, 0, side)
    area, area_inside = _area(boxes), _area(inside)
    kept = area_inside > 0
    weights = np.where(area_inside < SHOWN * area, 0, targets[:, WEIGHT])
    moved = np.column_stack((inside, targets[:, 4], weights))
    return moved[kept].astype(np.float32)


def darken(vis: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Darken a visible image as at night: v becomes gain · v^gamma, in whole levels.

    The gain is from 0.25 to 1, gamma from 1 to 2.5, so that shadows darken more than lamps.

    Args:
        vis: uint8 [..., 3].
        rng: Random generator of gain and gamma.
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
    """Targets of a crop that is turned by ``np.rot90``: (x, y) to (y, S − x)."""
    rotated = targets.copy()
    rotated[:, [0, 2]] = targets[:, [1, 3]]
    rotated[:, [1, 3]] = side - targets[:, [2, 0]]
    return rotated
