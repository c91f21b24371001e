"""Training of FusionMamba: Adam on random crops, and the average of the weights as the result.

A run is a pure function of its configuration and pairs: the batch of a step is made from the
step's number, and a checkpoint holds all else. So a run that was killed and goes on gives the
weights of one that was not, to the last bit on a CPU with as many threads; on a GPU as far as its
kernels repeat themselves (the Triton scan adds some gradients in an order that varies).

paper: Adam, the rate 0.0002. settled here: the schedule, clipping, averaging, all about the data.
"""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from common.checksums import sha256
from common.errors import ConfigError
from fusion.color import rgb_to_ycbcr, ycbcr_to_rgb
from fusion.fusers import fusionmamba
from fusion.network import checkpoint
from fusion.network.fusionmamba import FusionMamba
from pipeline.engine.device import choose_device, choose_dtype
from pipeline.run_folder.folder import RunFolder, open_folder
from training.config import Config
from training.data import Batch, Pairs, Sampler, open_sources
from training.detector_loss import DetectorLoss
from training.losses import fusion_terms, grid_loss
from training.records import Log, Sheet

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training left behind.

    Attributes:
        folder: The complete run folder.
        weights: The averaged weights, 16-bit safetensors.
        sha256: Of that file, in hex.
        seconds: Time spent on steps, of all parts of a resumed run.
    """

    folder: Path
    weights: Path
    sha256: str
    seconds: float


def train(
    config: Config,
    on_progress: Callable[[int, int | None], None],
) -> Outcome:
    """Train to the end, from the checkpoint where ``run.resume`` says so.

    Args:
        config: What to train on and how.
        on_progress: Called after each step with the steps done and their number.

    Raises:
        errors.IrvisError: The user's mistake, or losses that are no longer finite.
    """
    device = choose_device(config.compute.device)
    sources = open_sources(config)
    detector = None if config.detector is None else DetectorLoss(config.detector, device)
    trainer = Trainer(config, sources, device, detector)
    sheet = None if config.sheet is None else Sheet(config.sheet)
    folder = open_folder(config)
    try:
        trainer.work(folder, sheet, on_progress)
        checkpoint.save(
            folder.path / WEIGHTS, trainer.average, half=True, metadata=_about(config, sources)
        )
    except BaseException:
        folder.abandon()
        raise
    (folder.path / CHECKPOINT).unlink()
    folder.complete()
    weights = folder.final / WEIGHTS
    return Outcome(folder.final, weights, sha256(weights), trainer.seconds)


class Trainer:
    """Network, average and optimizer, and the steps that change them.

    Attributes:
        network: What is trained.
        average: Its exponential moving average.
        step: Steps done.
        seconds: Time that they took.
    """

    def __init__(
        self,
        config: Config,
        sources: Mapping[str, Pairs],
        device: torch.device,
        detector: DetectorLoss | None = None,
    ) -> None:
        self._schedule, self._weights, self._device = config.schedule, config.weights, device
        self._grid_weight = config.grid
        self._save_every, self._sample = config.run.save_every, Sampler(config, sources)
        self._detector = detector
        self._detector_weight = config.detector.weight if config.detector else 0.0
        self._dtype = choose_dtype(config.compute.dtype, device)
        self._data = hashlib.sha256(_ids(sources).encode()).hexdigest()
        torch.manual_seed(config.schedule.seed)
        fuser = fusionmamba.build(config.network)
        assert isinstance(fuser, fusionmamba.FusionMambaFuser)
        self.network: FusionMamba = fuser.network.to(device).train()
        if config.schedule.zero_head:
            nn.init.zeros_(self.network.head.weight)
            nn.init.zeros_(self.network.head.bias)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._optimizer = torch.optim.Adam(self.network.parameters())
        self.step, self.seconds = 0, 0.0

    def work(
        self,
        folder: RunFolder,
        sheet: Sheet | None,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        """Go on to the last step; checkpoints, log and sheets go to the folder."""
        if (folder.path / CHECKPOINT).is_file():
            self.restore(folder.path / CHECKPOINT)
        began, steps = time.monotonic() - self.seconds, self._schedule.steps
        with Log(folder.path, self.step) as log:
            while self.step < steps:
                rate, values = self._schedule.rate_at(self.step), self.advance()
                self.seconds = time.monotonic() - began
                log.add(values, rate, self.seconds)
                if self.step % self._save_every == 0 or self.step == steps:
                    log.flush()  # first: a resumed run keeps the lines up to its checkpoint
                    self.save(folder.path / CHECKPOINT)
                    folder.record(self.step)
                if sheet is not None and (self.step % sheet.every == 0 or self.step == steps):
                    picture = folder.path / "sheets" / f"{self.step:06d}.png"
                    sheet.write(picture, self.average, self._device, self._dtype)
                on_progress(self.step, steps)

    def advance(self) -> Tensor:
        """Take one step; the values of ``records.COLUMNS``, float [6] on the device."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate_at(self.step)
        batch = self._sample(self.step)
        batch = Batch(*(images.to(self._device) for images in (batch.seen, batch.ir, batch.vis)))
        total, parts = self._loss(batch)
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._schedule.clip)
        self._optimizer.step()
        self._follow()
        self.step += 1
        return torch.stack([total.detach(), *parts, norm])

    def _loss(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """What is minimised, and intensity, texture, structure and detector, unweighted."""
        ir, shown = batch.ir.float() / 255, batch.seen.float() / 255  # [B, 1, S, S]
        y, cbcr = rgb_to_ycbcr(batch.vis.float() / 255)  # [B, 1, S, S], [B, 2, S, S]
        mixed = self._dtype != torch.float32
        with torch.autocast(self._device.type, self._dtype, enabled=mixed):
            fused = self.network(ir=shown, vis=y).float()  # [B, 1, S, S]
        terms = fusion_terms(fused, ir=ir, vis=y)
        total, seen = self._weights.total(terms), fused.new_zeros(())
        if self._grid_weight:
            total = total + self._grid_weight * grid_loss(fused, ir, y)
        if self._detector is not None:
            seen = self._detector(ycbcr_to_rgb(fused, cbcr), batch)
            total = total + self._detector_weight * seen
        return total, [part.detach() for part in (*terms, seen)]

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; closely at first, when it holds noise."""
        decay = min(self._schedule.ema, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)

    def save(self, path: Path) -> None:
        """Write all that the next step depends on; the file is old or new, never half."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "data": self._data,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Go back to a checkpoint.

        Raises:
            ConfigError: The pairs are no longer those that the run began with.
        """
        state = torch.load(path, map_location=self._device, weights_only=True)
        if state["data"] != self._data:
            raise ConfigError(
                "run.resume: the pairs of data.sources have changed since the run began; bring "
                "them back or start a new run"
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def _ids(sources: Mapping[str, Pairs]) -> str:
    return " ".join(content for pairs in sources.values() for content in pairs.ids)


def _about(config: Config, sources: Mapping[str, Pairs]) -> dict[str, str]:
    """The metadata of the result; what earlier weights were trained on counts too."""
    before, ids = {}, set(_ids(sources).split())
    if config.network.weights is not None:
        path = checkpoint.find(config.network.weights)
        ids |= checkpoint.trained_on(path)
        before = {"begun_from": sha256(path)}
    data = {name: len(pairs) for name, pairs in sources.items()}
    return {
        **before,
        "recipe": json.dumps(config.dump()),
        "data": json.dumps(data),
        "trained_on": " ".join(sorted(ids)),
    }
