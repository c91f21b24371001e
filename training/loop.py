"""Training of a fuser: AdamW on random crops; the result is the average of the weights.

A run depends only on its configuration and pairs: the batch of a step is a function of its number,
and a checkpoint holds all other state. A resumed run therefore gives the same weights as an
uninterrupted one, bit-exact on a CPU with the same number of threads. On a GPU some kernels are not
deterministic (the Triton scan sums some gradients by atomic additions).

From the paper: Adam (AdamW without decay), the learning rate 0.0002. Ours: the schedule, gradient
clipping, averaging, data and detector.
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
from common.device import choose_device, choose_dtype
from common.errors import ConfigError
from fusion.network import checkpoint
from pipeline.run_folder.folder import RunFolder, open_folder
from training import state, targets
from training.batch_prefetch import BatchPrefetch
from training.config import Config
from training.crops import Sampler
from training.networks import earlier_weights, new_network
from training.objective import Objective
from training.pairs import Pairs, open_sources
from training.records import Log, ScoreLog, Sheet
from training.scores import Score, Scores
from training.state import Stateful
from training.targets import Targets

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.safetensors"
MOMENTS = "moments"  # folder of the scored weights
# batches on which the loss is compared with the mean's; their numbers are beyond those of steps
HELD, HELD_FROM = 8, 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a training.

    Attributes:
        folder: The complete run folder.
        weights: File of the averaged weights, 16-bit safetensors.
        sha256: Checksum of that file, in hex.
        seconds: Time of all steps, including those before a resume.
    """

    folder: Path
    weights: Path
    sha256: str
    seconds: float


def train(
    config: Config,
    on_progress: Callable[[int, int | None], None],
) -> Outcome:
    """Train all steps, continuing from the checkpoint if ``run.resume`` is set.

    Args:
        config: The configuration.
        on_progress: Called after each step with the number of finished steps and of all steps.

    Raises:
        errors.IrvisError: The user's input is wrong, or a loss is not finite.
    """
    device = choose_device(config.compute.device)
    earlier_weights(config)  # raises for a missing file now, not after all pairs are decoded
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
    """Outputs written at regular steps."""

    sheet: Sheet | None
    scores: Scores | None


class Trainer:
    """Network, average and optimizer, and the steps that change them.

    Attributes:
        network: The trained network.
        average: Exponential moving average of its weights.
        step: Finished steps.
        seconds: Time of the finished steps.
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
        # on a CPU the crops take 1 % of a step's time, and all cores are in use
        self._batches = BatchPrefetch(self._sample) if device.type == "cuda" else self._sample
        earlier = {role: sha256(path) for role, path in earlier_weights(config).items()}
        self._metadata = {**earlier, **_metadata(config, sources)}
        # what a resumed run must find as it was
        inputs = " ".join([_ids(sources), *earlier.values()])
        self._data = hashlib.sha256(inputs.encode()).hexdigest()
        torch.manual_seed(config.schedule.seed)
        self.network = new_network(config).to(device).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), weight_decay=config.schedule.decay
        )
        self._parts: dict[str, Stateful] = {
            "network": self.network, "average": self.average, "optimizer": self._optimizer
        }  # fmt: skip
        self.step, self.seconds = 0, 0.0

    def work(
        self,
        folder: RunFolder,
        watchers: Watchers,
        on_progress: Callable[[int, int | None], None],
    ) -> None:
        """Train the remaining steps, writing checkpoints, logs and sheets to the folder."""
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
                # before the checkpoint, so that a resumed run does not score this step again
                if scores is not None and self._due(scores.every):
                    scored.add(self.step, self.judge(scores))
                    self.write(folder.path / MOMENTS / f"{self.step:06d}.safetensors")
                if self._due(self._save_every):
                    log.flush()  # before the checkpoint, up to which a resumed run keeps the lines
                    self.save(folder.path / CHECKPOINT)
                    folder.record(self.step)
                if sheet is not None and self._due(sheet.every):
                    picture = folder.path / "sheets" / f"{self.step:06d}.png"
                    sheet.write(picture, self.average, self._device, self._dtype)
                on_progress(self.step, steps)

    def _due(self, every: int) -> bool:
        """Whether the step is a multiple of ``every``, or the last one."""
        return self.step % every == 0 or self.step == self._schedule.steps

    def advance(self) -> Tensor:
        """Take one step and return the values of ``records.COLUMNS``, float on the device."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate_at(self.step)
        total, terms = self._objective(self.network, self._batches(self.step).to(self._device))
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._schedule.clip)
        self._optimizer.step()
        state.follow(self.average, self.network, self._schedule.ema, self.step)
        self.step += 1
        return torch.stack([total.detach(), *terms, norm])

    def judge(self, scores: Scores) -> list[Score]:
        """Score the averaged weights, also by their loss relative to the mean's on fixed crops."""
        batches = (self._sample(HELD_FROM + number).to(self._device) for number in range(HELD))
        ratio = self._objective.over_mean(self.average, batches)
        on_crops = [] if ratio is None else [Score("crops", "loss over the mean's", ratio, None)]
        return on_crops + scores.fused(self.average)

    def write(self, path: Path) -> None:
        """Write the averaged weights in 16 bits, with recipe and training pairs as metadata."""
        path.parent.mkdir(exist_ok=True)
        checkpoint.save(path, self.average, half=True, metadata=self._metadata)

    def save(self, path: Path) -> None:
        """Write the complete state, replacing the file atomically."""
        plain = {"step": self.step, "seconds": self.seconds, "data": self._data}
        state.save(path, self._parts, plain)

    def restore(self, path: Path) -> None:
        """Load a checkpoint.

        Raises:
            ConfigError: The pairs or earlier weights have changed since the run began.
            WeightsError: It is damaged.
        """
        saved = state.load(path, self._device)
        if saved.get("data") != self._data:
            raise ConfigError(
                "run.resume: the pairs of data.sources, or the weights it began from or imitates, "
                "have changed since the run began; restore them or start a new run"
            )
        state.restore(path, saved, self._parts)
        self.step, self.seconds = saved["step"], saved["seconds"]


def _targets(
    config: Config, sources: Mapping[str, Pairs], device: torch.device
) -> dict[str, Sequence[Targets]]:
    """The targets of each source that has a detector."""
    by_source: dict[str, Sequence[Targets]] = {}
    for name, pairs in sources.items():
        detector = config.sources[name].detector
        if detector is not None:
            settings = config.detectors[detector]
            by_source[name] = targets.of_source(pairs, settings, config.data.cache, device)
    return by_source


def _ids(sources: Mapping[str, Pairs]) -> str:
    return " ".join(pair_id for pairs in sources.values() for pair_id in pairs.ids)


def _metadata(config: Config, sources: Mapping[str, Pairs]) -> dict[str, str]:
    """Metadata of the result; ``trained_on`` includes the training pairs of earlier weights."""
    ids = set(_ids(sources).split())
    for path in earlier_weights(config).values():
        ids |= checkpoint.trained_on(path)
    data = {name: len(pairs) for name, pairs in sources.items()}
    return {
        "recipe": json.dumps(config.dump()),
        "data": json.dumps(data),
        "trained_on": " ".join(sorted(ids)),
    }
