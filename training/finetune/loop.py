"""The fine-tuning of one detector: AdamW on augmented images; the result is an average of weights.

The weights depend on the settings, the images and the seed alone: a checkpoint holds all else, so
that a resumed training gives the same weights as an uninterrupted one, bit-exact on a CPU with the
same number of threads.
"""

import copy
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from common.errors import ConfigError, DataError, WeightsError, cut
from common.files import read_text, write_text
from training.config import ScheduleConfig as Rates
from training.finetune.batches import Batches
from training.finetune.learner import TERMS, Learner
from training.source_config import Section

CHECKPOINT, LOG = "checkpoint.pt", "log.csv"
COLUMNS = ("step", *TERMS, "gradient", "rate", "seconds")
LOGGED_EVERY = 10  # steps


class ScheduleConfig(Section):
    """Epochs, learning rate and optimizer."""

    epochs: int = Field(20, ge=1, description="times that each image is drawn")
    batch: int = Field(8, ge=1, le=1024, description="images of a step")
    learning_rate: float = Field(4e-4, gt=0, le=1, description="peak rate of AdamW")
    fuser_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        0.25, description="a joint fuser's rate, as a share"
    )
    warmup: int = Field(50, ge=0, description="steps of linear increase before the cosine")
    clip: float = Field(10.0, gt=0, description="largest norm of the gradient, clipped above")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights, the result")
    decay: float = Field(0.01, ge=0, le=1, description="weight decay of AdamW")
    save_every: int = Field(50, ge=1, description="steps between checkpoints")

    def of(self, steps: int) -> Rates:
        """The learning rates of a training of this many steps."""
        return Rates(
            steps=steps,
            learning_rate=self.learning_rate,
            warmup=min(self.warmup, steps - 1),
            clip=self.clip,
            ema=self.ema,
        )


@dataclass(slots=True)
class Progress:
    """What a checkpoint holds besides the weights."""

    step: int = 0
    seconds: float = 0.0


class Training:
    """A learner, the average of its weights, and the steps that change them.

    Attributes:
        average: The averaged learner.
        steps: Of the whole training.
        progress: Steps and seconds so far.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Batches,
        settings: ScheduleConfig,
        inputs: str,
        device: torch.device,
    ) -> None:
        """Begin.

        Args:
            learner: What is trained.
            batches: The images.
            settings: The schedule.
            inputs: Identifies settings, images and initial weights; a checkpoint of another one is
                refused.
            device: Where it computes.
        """
        self._learner = learner.to(device).train()
        self._batches, self._settings, self._inputs = batches, settings, inputs
        self._device = device
        self.steps = settings.epochs * batches.in_epoch
        self._schedule = settings.of(self.steps)
        self.average = copy.deepcopy(self._learner).eval().requires_grad_(False)
        self._optimizer = torch.optim.AdamW(learner.groups(settings.fuser_rate, settings.decay))
        self.progress = Progress()

    def work(self, folder: Path, on_progress: Callable[[int, int | None], None]) -> None:
        """Train the remaining steps, with log and checkpoints in the folder.

        Raises:
            ConfigError: The folder's checkpoint is of another training.
            DataError: A loss is not finite.
        """
        if (folder / CHECKPOINT).is_file():
            self.restore(folder / CHECKPOINT)
        progress = self.progress
        began = time.monotonic() - progress.seconds
        with Log(folder / LOG, progress.step) as log:
            while progress.step < self.steps:
                rate = self._schedule.rate_at(progress.step)
                values = self.advance(rate)
                progress.seconds = time.monotonic() - began
                if progress.step % LOGGED_EVERY == 0 or progress.step == self.steps:
                    log.add(progress, values.tolist(), rate)
                if progress.step % self._settings.save_every == 0:
                    log.flush()
                    self.save(folder / CHECKPOINT)
                on_progress(progress.step, self.steps)

    def advance(self, rate: float) -> Tensor:
        """Take one step; the weighted terms of its loss and the norm of its gradient, float [5]."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        terms = self._learner(self._batches(self.progress.step).to(self._device))  # [4]
        self._optimizer.zero_grad()
        terms.sum().backward()
        norm = nn.utils.clip_grad_norm_(self._learner.parameters(), self._settings.clip)
        self._optimizer.step()
        self._follow()
        self.progress.step += 1
        return torch.cat((terms.detach(), norm.detach()[None]))

    @torch.no_grad()
    def _follow(self) -> None:
        """Update the average, at first with a small decay."""
        step = self.progress.step
        decay = min(self._settings.ema, (1 + step) / (10 + step))
        for mean, value in zip(
            self.average.state_dict().values(), self._learner.state_dict().values(), strict=True
        ):
            if value.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def save(self, path: Path) -> None:
        """Write the complete state, replacing the file atomically."""
        state = {
            "learner": self._learner.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            "inputs": self._inputs,
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def restore(self, path: Path) -> None:
        """Load a checkpoint.

        Raises:
            ConfigError: It is of other settings, images or initial weights.
            WeightsError: It is damaged.
        """
        try:
            state: dict[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
            if state["inputs"] != self._inputs:
                raise ConfigError(
                    f"run.resume: {path} was begun with other settings, images or weights; restore "
                    "them or start a new run"
                )
            self._learner.load_state_dict(state["learner"])
            self.average.load_state_dict(state["average"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.progress.step = int(state["step"])
            self.progress.seconds = float(state["seconds"])
        except ConfigError:
            raise
        except Exception as error:  # a damaged pickle raises nearly anything
            reason = cut(str(error).partition("\n")[0])
            raise WeightsError(
                f"{path}: is no checkpoint of this training ({reason}); start a new run"
            ) from error


class Log:
    """One line of ``log.csv`` at each ``LOGGED_EVERY`` steps."""

    def __init__(self, path: Path, step: int) -> None:
        """Keep the lines up to ``step``, and drop later ones of a killed run."""
        lines = read_text(path).splitlines()[1:] if step and path.is_file() else []
        kept = [line for line in lines if int(line.partition(",")[0]) <= step]
        write_text(path, "\n".join((",".join(COLUMNS), *kept)) + "\n")
        self._file = path.open("a", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, progress: Progress, values: list[float], rate: float) -> None:
        """Add a line.

        Raises:
            DataError: A value is not finite.
        """
        if not all(abs(value) < float("inf") for value in values):
            raise DataError(
                f"the loss of step {progress.step} is not finite; lower schedule.learning_rate"
            )
        numbers = [f"{value:.6g}" for value in (*values, rate)]
        self._rows.writerow([progress.step, *numbers, f"{progress.seconds:.1f}"])

    def flush(self) -> None:
        """Write the lines to disk."""
        self._file.flush()
