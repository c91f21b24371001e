"""Training of a fuser: AdamW on random crops, and the average of the weights as the result.

A run is a pure function of its configuration and pairs: the batch of a step is made from the
step's number, and a checkpoint holds all else. So a run that was killed and goes on gives the
weights of one that was not, to the last bit on a CPU with as many threads; on a GPU as far as its
kernels repeat themselves (the Triton scan adds some gradients in an order that varies).

paper: Adam (AdamW without decay), the rate 0.0002. settled here: the schedule, clipping, averaging,
all about the data, all about the detector.
"""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from common.checksums import sha256
from common.errors import ConfigError
from fusion.network import checkpoint
from pipeline.engine.device import choose_device, choose_dtype
from pipeline.run_folder.folder import RunFolder, open_folder
from training import targets
from training.ahead import Ahead
from training.config import Config
from training.crops import Sampler
from training.networks import earlier_weights, new_network
from training.objective import Objective
from training.pairs import Pairs, open_sources
from training.records import Log, ScoreLog, Sheet
from training.scores import Score, Scores
from training.targets import Targets

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.safetensors"
MOMENTS = "moments"  # folder of the weights that were scored, to choose from
HELD, HELD_FROM = 8, 1_000_000_000  # batches that the loss is compared with the mean's on; no step


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
    trainer = Trainer(config, sources, device)
    sheet = None if config.sheet is None else Sheet(config.sheet)
    scores = None
    if config.scores is not None:
        scores = Scores(config, device, choose_dtype(config.compute.dtype, device))
    folder = open_folder(config)
    try:
        trainer.work(folder, Watchers(sheet, scores), on_progress)
        trainer.write(folder.path / WEIGHTS)
    except BaseException:
        folder.abandon()
        raise
    (folder.path / CHECKPOINT).unlink()
    folder.complete()
    weights = folder.final / WEIGHTS
    return Outcome(folder.final, weights, sha256(weights), trainer.seconds)


@dataclass(frozen=True, slots=True)
class Watchers:
    """What is looked at now and then."""

    sheet: Sheet | None
    scores: Scores | None


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
    ) -> None:
        self._schedule, self._device = config.schedule, device
        self._dtype = choose_dtype(config.compute.dtype, device)
        self._objective = Objective(config, device, self._dtype)
        self._save_every = config.run.save_every
        self._sample = Sampler(config, sources, _targets(config, sources, device))
        # on a CPU the crops take a hundredth of a step's time, and there is no core to spare
        self._batches = Ahead(self._sample) if device.type == "cuda" else self._sample
        self._about = _about(config, sources)
        self._data = hashlib.sha256(_ids(sources).encode()).hexdigest()
        torch.manual_seed(config.schedule.seed)
        self.network = new_network(config).to(device).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), weight_decay=config.schedule.decay
        )
        self.step, self.seconds = 0, 0.0

    def work(
        self,
        folder: RunFolder,
        watchers: Watchers,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        """Go on to the last step; checkpoints, logs and sheets go to the folder."""
        if (folder.path / CHECKPOINT).is_file():
            self.restore(folder.path / CHECKPOINT)
        began, steps = time.monotonic() - self.seconds, self._schedule.steps
        scores, sheet = watchers.scores, watchers.sheet
        with Log(folder.path, self.step) as log:
            scored = ScoreLog(folder.path, self.step, log)
            if scores is not None and self.step == 0:
                scored.add(0, scores.plain())
            while self.step < steps:
                rate, values = self._schedule.rate_at(self.step), self.advance()
                self.seconds = time.monotonic() - began
                log.add(values, rate, self.seconds)
                # first: a run that is resumed from the checkpoint must not score again
                if scores is not None and self._due(scores.every):
                    scored.add(self.step, self.judge(scores))
                    self.write(folder.path / MOMENTS / f"{self.step:06d}.safetensors")
                if self._due(self._save_every):
                    log.flush()  # first: a resumed run keeps the lines up to its checkpoint
                    self.save(folder.path / CHECKPOINT)
                    folder.record(self.step)
                if sheet is not None and self._due(sheet.every):
                    picture = folder.path / "sheets" / f"{self.step:06d}.png"
                    sheet.write(picture, self.average, self._device, self._dtype)
                on_progress(self.step, steps)

    def _due(self, every: int) -> bool:
        """Whether it is time for what is done every so many steps and at the end."""
        return self.step % every == 0 or self.step == self._schedule.steps

    def advance(self) -> Tensor:
        """Take one step; the values of ``records.COLUMNS``, float on the device."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate_at(self.step)
        total, parts = self._objective(self.network, self._batches(self.step).to(self._device))
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._schedule.clip)
        self._optimizer.step()
        self._follow()
        self.step += 1
        return torch.stack([total.detach(), *parts, norm])

    def judge(self, scores: Scores) -> list[Score]:
        """Scores of the averaged weights, and their loss relative to the mean's on fixed crops."""
        batches = (self._sample(HELD_FROM + number).to(self._device) for number in range(HELD))
        relative = self._objective.over_mean(self.average, batches)
        found = [] if relative is None else [Score("crops", "loss over the mean's", relative, None)]
        return found + scores.fused(self.average)

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; closely at first, when it holds noise."""
        decay = min(self._schedule.ema, (1 + self.step) / (10 + self.step))
        means: list[Tensor] = list(self.average.parameters())
        values: list[Tensor] = list(self.network.parameters())
        torch._foreach_lerp_(means, values, 1 - decay)  # in a few calls, where each takes time

    def write(self, path: Path) -> None:
        """Write the averaged weights, 16 bit, with what they were made from in the metadata."""
        path.parent.mkdir(exist_ok=True)
        checkpoint.save(path, self.average, half=True, metadata=self._about)

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


def _targets(
    config: Config, sources: Mapping[str, Pairs], device: torch.device
) -> dict[str, Sequence[Targets]]:
    """What detectors should see in the pairs of each source that one judges."""
    found: dict[str, Sequence[Targets]] = {}
    for name, pairs in sources.items():
        detector = config.sources[name].detector
        if detector is not None:
            judge = config.detectors[detector]
            found[name] = targets.of_source(pairs, judge, config.data.cache, device)
    return found


def _ids(sources: Mapping[str, Pairs]) -> str:
    return " ".join(content for pairs in sources.values() for content in pairs.ids)


def _about(config: Config, sources: Mapping[str, Pairs]) -> dict[str, str]:
    """The metadata of the result; what earlier weights were trained on counts too."""
    before, ids = {}, set(_ids(sources).split())
    for role, path in earlier_weights(config).items():
        ids |= checkpoint.trained_on(path)
        before[role] = sha256(path)
    data = {name: len(pairs) for name, pairs in sources.items()}
    return {
        **before,
        "recipe": json.dumps(config.dump()),
        "data": json.dumps(data),
        "trained_on": " ".join(sorted(ids)),
    }
