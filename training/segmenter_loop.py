"""Training of segmenters: a U-Net for each arm, from the same weights, on the same crops.

So that only the images differ, the networks of all arms begin with the same random weights and see
the same crops in the same order. A resumed run gives the same weights as an uninterrupted one,
bit-exact on a CPU with the same number of threads. The result is the moving average of the weights.
"""

import copy
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from common.device import choose_device
from common.errors import ConfigError
from common.threads import computing_in
from fusion.network import checkpoint
from pipeline.engine.building import build_arms
from pipeline.engine.leakage import training_ids
from pipeline.run_folder.folder import RunFolder, open_folder
from segmentation.unet import Architecture, Settings, UNet
from training import state
from training.records import Log
from training.segmenter_config import SegmenterConfig
from training.segmenter_data import Examples, MaskedPairs, examples_of, read_pairs
from training.segmenter_loss import cross_entropy, soft_dice_loss
from training.state import Stateful

CHECKPOINT, WEIGHTS = "checkpoint.pt", "weights.safetensors"
COLUMNS = ("total", "cross_entropy", "dice", "gradient")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a training.

    Attributes:
        folder: The complete run folder.
        weights: File of the weights of each arm's segmenter.
    """

    folder: Path
    weights: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class _Progress:
    """Tells the steps of all arms when one arm's are done."""

    tell: Callable[[int, int | None], None]
    earlier: int  # arms before this one
    arms: int
    steps: int  # of an arm

    def __call__(self, step: int) -> None:
        self.tell(self.earlier * self.steps + step, self.arms * self.steps)


def train_segmenters(
    config: SegmenterConfig, on_progress: Callable[[int, int | None], None]
) -> Outcome:
    """Train a segmenter on each arm's images, continuing if ``run.resume`` is set.

    Args:
        config: The configuration.
        on_progress: Called after each step with the number of finished steps and of all.

    Raises:
        errors.IrvisError: The user's input is wrong, or a loss is not finite.
    """
    with computing_in(config.compute.threads):
        device = choose_device(config.compute.device)
        arms = build_arms(config.pairs, device)
        masked = read_pairs(config)
        folder = open_folder(config)
        try:
            for number, arm in enumerate(arms):
                if (folder.path / arm / WEIGHTS).is_file():
                    continue  # trained before a resume
                batch = config.compute.batch
                examples = examples_of(arms, arm, masked, device=device, batch=batch)
                trainer = Trainer(config, examples, device)
                progress = _Progress(on_progress, number, len(arms), config.schedule.steps)
                trainer.work(folder, arm, progress)
                trainer.write(folder.path / arm / WEIGHTS, _metadata(config, arm, masked))
                (folder.path / arm / CHECKPOINT).unlink()
        except BaseException:
            folder.abandon()
            raise
        folder.complete()
    return Outcome(folder.final, {arm: folder.final / arm / WEIGHTS for arm in arms})


class Trainer:
    """A network, its average and optimizer, and the steps that change them.

    Attributes:
        network: The trained network.
        average: Exponential moving average of its weights.
        step: Finished steps.
        seconds: Time of the finished steps.
    """

    def __init__(self, config: SegmenterConfig, examples: Examples, device: torch.device) -> None:
        self._config, self._examples, self._device = config, examples, device
        self._digest = examples.digest()
        torch.manual_seed(config.schedule.seed)
        self.network = _new_network(config.network, len(examples.images[0])).to(device).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), weight_decay=config.schedule.decay
        )
        self._parts: dict[str, Stateful] = {
            "network": self.network, "average": self.average, "optimizer": self._optimizer
        }  # fmt: skip
        self.step, self.seconds = 0, 0.0

    def work(self, folder: RunFolder, arm: str, on_step: Callable[[int], None]) -> None:
        """Train the remaining steps, with a log and checkpoints in the arm's folder."""
        own = folder.path / arm
        own.mkdir(exist_ok=True)
        if (own / CHECKPOINT).is_file():
            self.restore(own / CHECKPOINT)
        began, schedule = time.monotonic() - self.seconds, self._config.schedule
        with Log(own, self.step, COLUMNS) as log:
            while self.step < schedule.steps:
                rate, values = schedule.rate_at(self.step), self.advance()
                self.seconds = time.monotonic() - began
                log.add(values, rate, self.seconds)
                if self.step % self._config.run.save_every == 0 or self.step == schedule.steps:
                    log.flush()  # before the checkpoint, up to which a resumed run keeps the lines
                    self.save(own / CHECKPOINT)
                    folder.record(self.step)
                on_step(self.step)

    def advance(self) -> Tensor:
        """Take one step and return the values of ``COLUMNS``, float [4] on the device."""
        schedule = self._config.schedule
        for group in self._optimizer.param_groups:
            group["lr"] = schedule.rate_at(self.step)
        images, targets = self._examples.batch(
            self.step,
            seed=schedule.seed,
            size=self._config.compute.batch,
            crop=self._config.data.crop,
        )
        images, targets = images.to(self._device), targets.to(self._device).long()
        scores = self.network(images.float() / 255)  # [B, K, C, C]
        entropy, dice = cross_entropy(scores, targets), soft_dice_loss(scores, targets)
        total = entropy + dice
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), schedule.clip)
        self._optimizer.step()
        state.follow(self.average, self.network, schedule.ema, self.step)
        self.step += 1
        return torch.stack([total.detach(), entropy.detach(), dice.detach(), norm])

    def write(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the averaged weights in 16 bits, atomically, since a resume trusts the file."""
        partial = path.with_suffix(".partial")
        checkpoint.save(partial, self.average, half=True, metadata=metadata)
        partial.replace(path)

    def save(self, path: Path) -> None:
        """Write the complete state, replacing the file atomically."""
        plain = {"step": self.step, "seconds": self.seconds, "examples": self._digest}
        state.save(path, self._parts, plain)

    def restore(self, path: Path) -> None:
        """Load a checkpoint.

        Raises:
            ConfigError: The arm's images or the masks have changed since the run began.
            WeightsError: The file is damaged.
        """
        saved = state.load(path, self._device)
        if saved.get("examples") != self._digest:
            raise ConfigError(
                "run.resume: the arm's images or the masks have changed since the run began; "
                "restore them or start a new run"
            )
        state.restore(path, saved, self._parts)
        self.step, self.seconds = saved["step"], saved["seconds"]


def _new_network(settings: Settings, channels: int) -> UNet:
    """A network with random weights.

    One of six channels begins with half of the first layer's weights for each of its images, and
    with all other weights as one of three: it first sees the mean of both.
    """
    network = UNet(Architecture(**settings.model_dump()))
    if channels == 3:
        return network
    stacked = UNet(Architecture(**settings.model_dump(), channels=6))
    weights, first = network.state_dict(), "down.0.0.weight"
    weights[first] = torch.cat((weights[first], weights[first]), 1) / 2  # [D, 6, 3, 3]
    stacked.load_state_dict(weights)
    return stacked


def _metadata(config: SegmenterConfig, arm: str, masked: MaskedPairs) -> dict[str, str]:
    """Metadata of the result; ``trained_on`` has the training pairs of the arm's weights too."""
    ids = set(masked.ids) | training_ids(config.pairs).get(arm, frozenset())
    return {
        "arm": arm,
        "recipe": json.dumps(config.dump()),
        "trained_on": " ".join(sorted(ids)),
    }
