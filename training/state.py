"""What all trainings do with their state: the checkpoint, and the average of the weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from common.errors import WeightsError, cut


class Stateful(Protocol):
    """A network or an optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """Its state."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> object:
        """Take a state."""
        ...


def save(path: Path, parts: Mapping[str, Stateful], plain: Mapping[str, object]) -> None:
    """Write a checkpoint, replacing the file atomically.

    Args:
        path: The file.
        parts: What ``restore`` gives its state back to.
        plain: Numbers and texts.
    """
    partial = path.with_suffix(".partial")
    torch.save({**{name: part.state_dict() for name, part in parts.items()}, **plain}, partial)
    partial.replace(path)


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint, which has at least the finished steps and their seconds.

    Raises:
        WeightsError: It is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        state |= {"step": int(state["step"]), "seconds": float(state["seconds"])}
    except Exception as error:  # a damaged pickle raises nearly anything
        raise _damaged(path, error) from error
    return state


def restore(path: Path, state: Mapping[str, Any], parts: Mapping[str, Stateful]) -> None:
    """Give the parts the state that ``load`` read.

    Raises:
        WeightsError: It isn't theirs.
    """
    try:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> WeightsError:
    reason = cut(str(error).partition("\n")[0])
    return WeightsError(f"{path}: is no checkpoint of this training ({reason}); start a new run")


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, ema: float, step: int) -> None:
    """Update a moving average of a network's weights and statistics.

    Args:
        average: The average, changed in place.
        network: The network.
        ema: Decay. It is smaller in the first steps, since the first weights are random.
        step: Steps that were taken before this one.
    """
    decay = min(ema, (1 + step) / (10 + step))
    means: list[Tensor] = list(average.parameters())
    values: list[Tensor] = list(network.parameters())
    for mean, value in zip(average.buffers(), network.buffers(), strict=True):
        if value.is_floating_point():
            means.append(mean)
            values.append(value)
        else:
            mean.copy_(value)  # a count
    torch._foreach_lerp_(means, values, 1 - decay)  # one call instead of one per tensor
