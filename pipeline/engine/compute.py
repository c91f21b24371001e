"""The stages between source and sinks: batch, upload, fuse, detect."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.modality import Modality
from detection.boxes import Detections
from detection.detector import Detector
from eval.quality.metrics import quality
from pipeline.frames import Item, PairBatch, Result
from pipeline.images import to_grey, to_rgb
from pipeline.interfaces import Arm
from segmentation.segmenter import Segmenter

MOST_PIXELS = 1 << 24  # of a batch


class Clock:
    """Busy seconds by stage."""

    def __init__(self, device: torch.device) -> None:
        self.busy: dict[str, float] = defaultdict(float)
        self._device = device

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage, including its work on the device."""
        start = time.perf_counter()
        yield
        if self._device.type == "cuda":
            # synchronize only this thread's stream
            torch.cuda.current_stream(self._device).synchronize()
        self.busy[stage] += time.perf_counter() - start


Arms = Mapping[str, Arm]
STAGES = ("fuse", "detect", "segment", "merge")  # of an arm


class Compute:
    """Computes every arm's images and detections for a batch of pairs.

    Attributes:
        device: The compute device.
        clock: Busy seconds by stage.
    """

    def __init__(
        self,
        arms: Arms,
        detectors: Mapping[str, Detector],
        *,
        device: torch.device,
        batch: int,
        quality: bool = False,
        segmenters: Mapping[str, Segmenter] | None = None,
    ) -> None:
        """Begin.

        Args:
            arms: Every arm; where one is there twice, its image is made and measured once.
            detectors: By arm with an image; empty to only fuse.
            device: Where all compute.
            batch: Pairs of a batch.
            quality: Whether the arms' images are measured.
            segmenters: By arm; none where no masks are wanted.
        """
        self._arms, self._detectors, self._segmenters = arms, detectors, segmenters or {}
        firsts: dict[int, str] = {}
        self._maker = {name: firsts.setdefault(id(arm), name) for name, arm in arms.items()}
        self.device, self._batch, self._quality = device, batch, quality
        self._uploads: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._uploads = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.clock = Clock(device)
        self._pairs = self._first_pairs = 0
        self._first_busy: Mapping[str, float] = {}

    def __call__(self, items: list[Item], first: int) -> list[Result]:
        """Upload items of one size and run all arms; ``first`` is the number of the first item."""
        return self.run(items, self.upload(items), first)

    def run(self, items: list[Item], batch: PairBatch, first: int) -> list[Result]:
        """Run all arms on items and the batch that ``upload`` returned for them."""
        images: dict[str, Tensor] = {}
        detections: dict[str, list[Detections]] = {}
        masks: dict[str, NDArray[np.uint8]] = {}
        for name, arm in self._arms.items():
            if not arm.config.has_image:
                continue
            modality = arm.config.modality
            if (maker := self._maker[name]) != name:
                images[name] = images[maker]
            else:
                with self.clock.measure(f"fuse {name}"):
                    image = batch.ready[name] if arm.config.reads_images else arm(batch)
                    images[name] = _with_fallback(image, modality, batch, items)
            if name in self._detectors:
                with self.clock.measure(f"detect {name}"):
                    detections[name] = [
                        Detections.empty() if item.dead and item.dead == modality else boxes
                        # the batch is padded
                        for item, boxes in zip(
                            items, self._detectors[name](images[name]), strict=False
                        )
                    ]
            if name in self._segmenters:
                with self.clock.measure(f"segment {name}"):
                    masks[name] = self._segmenters[name](images[name]).cpu().numpy()  # [B, H, W]
        images = {name: mine for name, mine in images.items() if self._arms[name].config.is_shown}
        metrics = self._measure(batch, images) if self._quality else {}
        results = []
        for i, item in enumerate(items):
            item_images = {name: image[i] for name, image in images.items()}
            item_detections = self._merge({name: d[i] for name, d in detections.items()})
            item_metrics = {name: values[i] for name, values in metrics.items()}
            item_masks = {name: mask[i] for name, mask in masks.items()}
            results.append(
                Result(first + i, item, item_images, item_detections, item_metrics, item_masks)
            )
        if self._pairs == 0:
            self._first_pairs, self._first_busy = len(items), self._busy()
        self._pairs += len(items)
        return results

    def ms_per_pair(self) -> dict[str, dict[str, float]]:
        """Milliseconds per pair of each arm, by stage.

        The first batch is left out as warm-up, unless it is the only one. An image that several
        arms have was made once, and its time is in each of theirs.
        """
        pairs, before = self._pairs - self._first_pairs, self._first_busy
        if pairs == 0:
            pairs, before = max(1, self._pairs), {}
        busy = self._busy()
        return {
            arm: {
                stage: 1e3 * (busy[name] - before.get(name, 0.0)) / pairs
                for stage in STAGES
                if (name := f"{stage} {self._maker[arm] if stage == 'fuse' else arm}") in busy
            }
            for arm in self._arms
        }

    def _busy(self) -> dict[str, float]:
        """Busy seconds of the arms' stages; `busy` may grow while another thread uploads."""
        names = (f"{stage} {arm}" for arm in self._arms for stage in STAGES)
        return {name: self.clock.busy[name] for name in names if name in self.clock.busy}

    def _measure(
        self, batch: PairBatch, images: Mapping[str, Tensor]
    ) -> dict[str, list[dict[str, float]]]:
        """The quality metrics of each arm's image of each pair."""
        with self.clock.measure("quality"):
            vis = luminance(batch.vis)  # [B, 1, H, W], the same for all arms
        metrics: dict[str, list[dict[str, float]]] = {}
        for name, fused in images.items():
            if (maker := self._maker[name]) != name:
                metrics[name] = metrics[maker]
                continue
            with self.clock.measure(f"quality {name}"):
                values = quality(ir=batch.ir, vis=vis, fused=luminance(fused))
                columns = {key: column.tolist() for key, column in values.items()}
                metrics[name] = [
                    {key: column[i] for key, column in columns.items()} for i in range(len(fused))
                ]
        return metrics

    def _merge(self, detections: dict[str, Detections]) -> dict[str, Detections]:
        """Add the arms that merge others' detections, in the order of the configuration."""
        for name, arm in self._arms.items():
            if not arm.config.has_image:
                with self.clock.measure(f"merge {name}"):
                    detections[name] = arm.merge(detections)
        return {name: detections[name] for name in self._arms if name in detections}

    def upload(self, items: list[Item]) -> PairBatch:
        """Copy items to the device as one batch, the last pair repeated up to the full length.

        May run on another thread, while the batch before is computed: on a GPU it uses its own
        stream. The copy is complete on return.

        A batch always has the full length: other lengths may select other kernels, whose rounding
        differs, and then results would depend on where a recording ends.
        """
        length = batch_length(items[0].size, self._batch)
        full = items + [items[-1]] * (length - len(items))
        with torch.cuda.stream(self._uploads), self.clock.measure("upload"):  # no-op without one
            batch = self._upload(full)
        if self._uploads is not None:
            computing = torch.cuda.current_stream(self.device)
            for tensor in (batch.ir, batch.vis, *batch.ready.values()):
                tensor.record_stream(computing)  # keeps its memory until that stream has used it
        return batch

    def _upload(self, full: list[Item]) -> PairBatch:
        pairs = [item.pair.whole() for item in full]
        ir = np.stack([to_grey(p.ir.image) for p in pairs])[:, None]
        vis = [to_rgb(p.vis.image) for p in pairs]
        return PairBatch(
            keys=tuple(pair.key for pair in pairs),
            ir=torch.from_numpy(ir).to(self.device),  # [B, 1, H, W]
            vis=self._images(vis),
            ready={name: self._images([i.ready[name] for i in full]) for name in full[0].ready},
        )

    def _images(self, images: list[NDArray[np.uint8]]) -> Tensor:
        """HWC images as uint8 [B, 3, H, W] on the device."""
        stacked = torch.from_numpy(np.stack(images)).to(self.device)  # [B, H, W, 3]
        return stacked.permute(0, 3, 1, 2).contiguous()


def _with_fallback(
    images: Tensor, modality: Modality | None, batch: PairBatch, items: list[Item]
) -> Tensor:
    """Replace the images of items with a dead camera, uint8 [B, 3 or 6, H, W].

    A fused image becomes the other camera's image; the image of the dead modality becomes black.
    """
    if not any(item.dead for item in items):
        return images
    images = images.clone()
    for i, item in enumerate(items):
        if item.dead is not None and modality == item.dead:
            images[i] = 0
        elif item.dead is not None:
            other = batch.vis[i] if item.dead == "ir" else batch.ir[i]  # [3, H, W], [1, H, W]
            images[i].view(-1, 3, *other.shape[1:])[:] = other  # both halves of a stacked image
    return images


def luminance(images: Tensor) -> Tensor:
    """BT.601 luma uint8 [B, 1, H, W] of RGB uint8 [B, 3, H, W], bit-identical to OpenCV's."""
    red, green, blue = images.int().unbind(1)  # [B, H, W] each
    levels = (9798 * red + 19235 * green + 3735 * blue + (1 << 14)) >> 15
    return levels.to(torch.uint8)[:, None]


def _group(item: Item, shard: int | None) -> tuple[object, ...]:
    """Items are in one batch only if this is equal."""
    pair = item.pair
    part = None if shard is None or pair.index is None else pair.index // shard
    return item.size, pair.recording, part


def batch_length(size: tuple[int, int], most: int) -> int:
    """The batch length for a size: ``most``, less if the images exceed ``MOST_PIXELS``."""
    return max(1, min(most, MOST_PIXELS // (size[0] * size[1])))


def batches(items: Iterable[Item], length: int, shard: int | None = None) -> Iterator[list[Item]]:
    """Group consecutive items of one size, up to ``batch_length`` of them; never by time.

    No batch reaches from one shard of ``shard`` stills into the next, or into another recording, so
    that shards have the same batches wherever they are computed.
    """
    batch: list[Item] = []
    for item in items:
        if batch and _group(batch[0], shard) != _group(item, shard):
            yield batch
            batch = []
        batch.append(item)
        if len(batch) == batch_length(item.size, length):  # without waiting for the next item
            yield batch
            batch = []
    if batch:
        yield batch
