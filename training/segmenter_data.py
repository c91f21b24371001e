"""The examples that a segmenter is trained on: an arm's images and the true classes of pixels.

All pairs and the images of one arm are held in memory: 8 bytes a pixel, 11 of stacked images.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.errors import ConfigError, DataError
from eval.class_names import COCO_NAMES
from pipeline.engine.building import build_source
from pipeline.engine.compute import Arms, Compute, batches
from pipeline.engine.segmenters import true_masks
from pipeline.frames import Dropped, FramePair, Item
from pipeline.images import pair_id, to_grey, to_rgb
from training.decoding import checked
from training.segmenter_config import SegmenterConfig
from training.segmenter_loss import IGNORED


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPairs:
    """The pairs of a source with the classes of their pixels.

    Attributes:
        pairs: At least one.
        ids: ``pipeline.images.pair_id`` of each.
        targets: uint8 [H, W] of each: the channel of a network's output, or ``IGNORED``.
    """

    pairs: Sequence[FramePair]
    ids: Sequence[str]
    targets: Sequence[NDArray[np.uint8]]


def read_pairs(config: SegmenterConfig) -> MaskedPairs:
    """Decode all pairs and masks.

    Raises:
        ConfigError: The source has no masks, and no folder is given.
        DataError: A pair or mask is missing or damaged, or has a label that is no class.
    """
    pairs, ids, targets = [], [], []
    with build_source(config.pairs, COCO_NAMES) as source:
        source.check()
        find = true_masks(source, config.data.masks)
        if find is None:
            raise ConfigError(
                f"source.kind: {config.pairs.source.kind} has no masks; give their folder, "
                "data.masks=FOLDER"
            )
        for given in source:
            if isinstance(given, Dropped):
                continue
            pair = checked(given)
            key, ir, vis = pair.whole()
            mask = find(key).labels
            if mask.shape != vis.size:
                raise DataError(
                    f"pair {key}: its mask has {mask.shape[1]}x{mask.shape[0]} pixels, its image "
                    f"{vis.size[1]}x{vis.size[0]}"
                )
            if min(vis.size) < config.data.crop:
                raise DataError(f"pair {key}: is smaller than a crop; lower data.crop")
            pairs.append(pair)
            ids.append(pair_id(to_grey(ir.image), to_rgb(vis.image)))
            targets.append(_targets(mask, config, key))
    if not pairs:
        raise DataError("source: has no pairs")
    return MaskedPairs(pairs, ids, targets)


def _targets(mask: NDArray[np.integer], config: SegmenterConfig, key: str) -> NDArray[np.uint8]:
    """Channels of a mask's labels."""
    channels = {label: channel for channel, label in enumerate(sorted(config.network.names))}
    if config.data.ignore is not None:
        channels[config.data.ignore] = IGNORED
    present = np.unique(mask).tolist()
    if unknown := [label for label in present if label not in channels]:
        raise DataError(
            f"pair {key}: its mask has label {unknown[0]}, which is not in network.names; add it "
            "there, or give it as data.ignore"
        )
    table = np.zeros(max(present) + 1, np.uint8)
    table[present] = [channels[label] for label in present]
    return np.asarray(table[mask])


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The images of an arm and the classes of their pixels.

    Attributes:
        images: uint8 [C, H, W] of each pair.
        targets: uint8 [H, W] of each.
    """

    images: Sequence[Tensor]
    targets: Sequence[NDArray[np.uint8]]

    def digest(self) -> str:
        """A hash of all pixels."""
        digest = hashlib.blake2b(digest_size=16)
        for image, target in zip(self.images, self.targets, strict=True):
            digest.update(image.numpy().data)
            digest.update(np.ascontiguousarray(target).data)
        return digest.hexdigest()

    def batch(self, step: int, *, seed: int, size: int, crop: int) -> tuple[Tensor, Tensor]:
        """The crops of a step, which depend on its number and the seed alone.

        Args:
            step: From 0.
            seed: Of the training.
            size: Crops in a batch, B.
            crop: Side of a crop, C.

        Returns:
            Images uint8 [B, 3 or 6, C, C] and targets uint8 [B, C, C]; half of them mirrored left
            to right.
        """
        rng = np.random.default_rng((seed, step))
        images, targets = [], []
        for index in rng.integers(len(self.images), size=size):
            image, target = self.images[index], torch.from_numpy(self.targets[index])
            top, left = (int(rng.integers(side - crop + 1)) for side in target.shape)
            place = (slice(top, top + crop), slice(left, left + crop))
            image, target = image[:, *place], target[place]  # [3 or 6, C, C], [C, C]
            if rng.random() < 0.5:
                image, target = image.flip(-1), target.flip(-1)
            images.append(image)
            targets.append(target)
        return torch.stack(images), torch.stack(targets)


def examples_of(
    arms: Arms, arm: str, masked: MaskedPairs, *, device: torch.device, batch: int
) -> Examples:
    """Make an arm's image of every pair, as a run does."""
    one = {arm: arms[arm]}
    compute = Compute(one, {}, device=device, batch=batch)
    items = (_item(one, pair) for pair in masked.pairs)
    groups = batches(items, batch)
    images: list[Tensor] = []  # uint8 [C, H, W] each
    for group in groups:
        uploaded = compute.upload(group)
        made = uploaded.ready[arm] if arms[arm].config.reads_images else arms[arm](uploaded)
        images += made[: len(group)].cpu()  # [B, C, H, W]; the batch is padded
    return Examples(images, masked.targets)


def _item(arms: Arms, pair: FramePair) -> Item:
    key, _, vis = pair.whole()
    ready: Mapping[str, NDArray[np.uint8]] = {
        name: arm.read(key, vis.size) for name, arm in arms.items() if arm.config.reads_images
    }
    return Item(pair, None, ready)
