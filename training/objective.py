"""What a training minimises: the weighted sum of what the paper and the detectors ask for."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.color import rgb_to_ycbcr, ycbcr_to_rgb
from training.config import Config
from training.crops import Batch
from training.detector_loss import DetectorLoss
from training.losses import PRESETS, Terms, fusion_terms, outside_loss
from training.networks import load_network


class Objective:
    """The loss of a network on a batch, and how it compares with that of the plain mean."""

    def __init__(self, config: Config, device: torch.device, dtype: torch.dtype) -> None:
        """Load the detectors.

        Raises:
            errors.IrvisError: The weights of one are missing or wrong.
        """
        self._weights, self._device, self._dtype = config.loss, device, dtype
        self._teacher = None if config.teacher is None else load_network(config.teacher).to(device)
        self._detectors = {
            name: DetectorLoss(judge, device, dtype) for name, judge in config.detectors.items()
        }

    def __call__(self, network: nn.Module, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """What is minimised, and its parts without their weights; see ``records.COLUMNS``."""
        ir, shown = batch.ir.float() / 255, batch.seen.float() / 255  # [B, 1, S, S]
        y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)  # [B, 1, S, S], [B, 2, S, S]
        mixed = self._dtype != torch.float32
        with torch.autocast(self._device.type, self._dtype, enabled=mixed):
            fused = network(ir=shown, vis=y).float()  # [B, 1, S, S]
        nothing = fused.new_zeros(())
        total, terms, seen, outside = nothing, Terms(nothing, nothing, nothing), nothing, nothing
        imitated = nothing
        if self._weights.paper is not None:
            terms = fusion_terms(fused, ir=ir, vis=y)
            total = total + PRESETS[self._weights.paper].total(terms)
        if self._weights.detector:
            seen = self._seen(ycbcr_to_rgb(fused, cbcr), batch)
            total = total + self._weights.detector * seen
        if self._weights.outside:
            outside = outside_loss(fused, shown, y)
            total = total + self._weights.outside * outside
        if self._weights.teacher and self._teacher is not None:
            with torch.no_grad(), torch.autocast(self._device.type, self._dtype, enabled=mixed):
                wanted = self._teacher(ir=shown, vis=y).float()  # [B, 1, S, S]
            imitated = functional.l1_loss(fused, wanted)
            total = total + self._weights.teacher * imitated
        return total, [part.detach() for part in (*terms, seen, outside, imitated)]

    @torch.no_grad()
    def over_mean(self, network: nn.Module, batches: Iterable[Batch]) -> float | None:
        """The detectors' loss of a network divided by that of the mean; None where none judges."""
        fused, mean = 0.0, 0.0
        for batch in batches:
            ir = batch.seen.float() / 255  # [B, 1, S, S]
            y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)
            fused += float(self._seen(ycbcr_to_rgb(network(ir=ir, vis=y), cbcr), batch))
            mean += float(self._seen(ycbcr_to_rgb((ir + y) / 2, cbcr), batch))
        return fused / mean if mean else None

    def _seen(self, fused: Tensor, batch: Batch) -> Tensor:
        """The detectors' loss on fused crops [B, 3, S, S], the mean over crops."""
        losses = []
        for name, detector in self._detectors.items():
            mine = [i for i, judge in enumerate(batch.detectors) if judge == name]
            if mine:
                share = len(mine) / len(batch.detectors)
                some = fused if share == 1 else fused[mine]
                losses.append(share * detector(some, [batch.targets[i] for i in mine]))
        return torch.stack(losses).sum() if losses else fused.new_zeros(())
