"""The fine-tuning of one detector: AdamW on augmented images; the result is an average of weights.

The weights depend on the settings, the images and the seed alone: a checkpoint holds all else, so
that a resumed training gives the same weights as an uninterrupted one, bit-exact on a CPU with the
same number of threads.
"""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from training import state
from training.config import ScheduleConfig as Rates
from training.finetune.batches import Batches
from training.finetune.learner import Learner
from training.records import Log
from training.source_config import Section
from training.state import Stateful

CHECKPOINT = "checkpoint.pt"


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


class Training:
    """A learner, the average of its weights, and the steps that change them.

    Attributes:
        average: The averaged learner, in evaluation mode.
        steps: Of the whole training.
        step: Finished steps.
        seconds: Time of the finished steps.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Batches,
        settings: ScheduleConfig,
        device: torch.device,
    ) -> None:
        """Begin.

        Args:
            learner: What is trained.
            batches: The images.
            settings: The schedule.
            device: Where it computes.
        """
        self._learner = learner.to(device).train()
        self._batches, self._settings, self._device = batches, settings, device
        self.steps = settings.epochs * batches.in_epoch
        self._schedule = settings.of(self.steps)
        self.average = copy.deepcopy(self._learner).eval().requires_grad_(False)
        self._optimizer = torch.optim.AdamW(learner.groups(settings.fuser_rate, settings.decay))
        self._parts: dict[str, Stateful] = {
            "learner": self._learner, "average": self.average, "optimizer": self._optimizer
        }  # fmt: skip
        self.step, self.seconds = 0, 0.0

    def work(
        self, folder: Path, on_progress: Callable[[int, int | None], None], last: int | None = None
    ) -> None:
        """Train the remaining steps, with log and checkpoints in the folder.

        Args:
            folder: The training's.
            on_progress: Called after each step with the finished steps and all steps.
            last: The step to stop after; None for the training's last.

        Raises:
            DataError: A loss is not finite.
        """
        last = self.steps if last is None else last
        began = time.monotonic() - self.seconds
        columns = ("total", *self._learner.terms, "gradient")
        with Log(folder, self.step, columns) as log:
            while self.step < last:
                rate, values = self._schedule.rate_at(self.step), self.advance()
                self.seconds = time.monotonic() - began
                log.add(values, rate, self.seconds)
                if self.step % self._settings.save_every == 0 or self.step == last:
                    log.flush()  # before the checkpoint, up to which a resumed run keeps the lines
                    self.save(folder / CHECKPOINT)
                on_progress(self.step, self.steps)

    def settle_fuser(self, batches: Batches) -> None:
        """Let the averaged fuser be the result; the detector goes on with images that it made.

        Args:
            batches: The same images as before, fused.
        """
        learned, averaged = self._learner.fuser, self.average.fuser
        assert learned is not None, "of a joint training"
        assert averaged is not None, "of a joint training"
        learned.load_state_dict(averaged.state_dict())
        self._batches = batches

    def advance(self) -> Tensor:
        """Take one step and return the values of the log, float [6] on the device."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._schedule.rate_at(self.step) * group["share"]
        terms = self._learner(self._batches(self.step).to(self._device))  # [4]
        total = terms.sum()
        self._optimizer.zero_grad()
        total.backward()
        norm = nn.utils.clip_grad_norm_(self._learner.parameters(), self._settings.clip)
        self._optimizer.step()
        state.follow(self.average, self._learner, self._settings.ema, self.step)
        self.step += 1
        return torch.cat((total.detach()[None], terms.detach(), norm.detach()[None]))

    def save(self, path: Path) -> None:
        """Write the complete state, replacing the file atomically."""
        state.save(path, self._parts, {"step": self.step, "seconds": self.seconds})

    def restore(self, path: Path) -> None:
        """Load a checkpoint.

        Raises:
            WeightsError: It is damaged.
        """
        saved = state.load(path, self._device)
        state.restore(path, saved, self._parts)
        self.step, self.seconds = saved["step"], saved["seconds"]
