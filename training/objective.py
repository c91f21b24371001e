"""The training loss: the weighted sum of the paper's loss and the detectors' losses."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion.color import rgb_to_ycbcr, ycbcr_to_rgb
from training.config import Config
from training.crops import Batch
from training.detector_loss import DetectorLoss
from training.losses import PRESETS, Terms, Weights, fusion_terms, outside_loss
from training.mambadfuse_loss import TERMS
from training.networks import load_network


class Objective:
    """The loss of a network on a batch."""

    def __init__(self, config: Config, device: torch.device, dtype: torch.dtype) -> None:
        """Load the detectors.

        Raises:
            errors.IrvisError: The weights of a detector are missing or invalid.
        """
        self._weights, self._device, self._dtype = config.loss, device, dtype
        self._teacher = None if config.teacher is None else load_network(config.teacher).to(device)
        self._detectors = {
            name: DetectorLoss(detector, device, dtype)
            for name, detector in config.detectors.items()
        }

    def __call__(self, network: nn.Module, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """The total loss, and its unweighted terms in the order of ``records.COLUMNS``."""
        ir, ir_input = batch.ir.float() / 255, batch.ir_input.float() / 255  # [B, 1, S, S]
        y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)  # [B, 1, S, S], [B, 2, S, S]
        mixed = self._dtype != torch.float32
        with torch.autocast(self._device.type, self._dtype, enabled=mixed):
            fused = network(ir=ir_input, vis=y).float()  # [B, 1, S, S]
        zero = fused.new_zeros(())
        total, terms, detection, outside = zero, Terms(zero, zero, zero), zero, zero
        imitation = zero
        if self._weights.paper is not None:
            terms = TERMS.get(self._weights.paper, fusion_terms)(fused, ir=ir, vis=y)
            weights = self._weights.weights or PRESETS[self._weights.paper]
            total = total + Weights(*weights).total(terms)
        if self._weights.detector:
            detection = self._detection(ycbcr_to_rgb(fused, cbcr), batch)
            total = total + self._weights.detector * detection
        if self._weights.outside:
            outside = outside_loss(fused, ir_input, y)
            total = total + self._weights.outside * outside
        if self._weights.teacher and self._teacher is not None:
            with torch.no_grad(), torch.autocast(self._device.type, self._dtype, enabled=mixed):
                target = self._teacher(ir=ir_input, vis=y).float()  # [B, 1, S, S]
            imitation = functional.l1_loss(fused, target)
            total = total + self._weights.teacher * imitation
        return total, [term.detach() for term in (*terms, detection, outside, imitation)]

    @torch.no_grad()
    def over_mean(self, network: nn.Module, batches: Iterable[Batch]) -> float | None:
        """The detectors' loss of a network divided by that of the mean of the pair.

        None if no crop has a detector.
        """
        fused, mean = 0.0, 0.0
        for batch in batches:
            ir = batch.ir_input.float() / 255  # [B, 1, S, S]
            y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)
            fused += float(self._detection(ycbcr_to_rgb(network(ir=ir, vis=y), cbcr), batch))
            mean += float(self._detection(ycbcr_to_rgb((ir + y) / 2, cbcr), batch))
        return fused / mean if mean else None

    def _detection(self, fused: Tensor, batch: Batch) -> Tensor:
        """The detectors' loss on fused crops [B, 3, S, S], the mean over crops."""
        losses = []
        for name, detector in self._detectors.items():
            crops = [i for i, crop_detector in enumerate(batch.detectors) if crop_detector == name]
            if crops:
                share = len(crops) / len(batch.detectors)
                images = fused if share == 1 else fused[crops]
                losses.append(share * detector(images, [batch.targets[i] for i in crops]))
        return torch.stack(losses).sum() if losses else fused.new_zeros(())
