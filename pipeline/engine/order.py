"""What the workers of a run are told."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from common.device import choose_dtype
from pipeline.engine.sent_weights import Place, Sent, collect
from pipeline.engine.shard_log import Kept
from pipeline.engine.stream import Task


@dataclass(frozen=True, slots=True)
class Order:
    """What all workers of a run are told.

    Attributes:
        settings: The configuration as plain values, with the dtype and threads of the driver.
        fail: Whether a bad pair fails its shard.
        kept: Which images the sinks of the driver need.
        here: The working folder of the driver.
        paths: Where Python finds the modules of the driver's user.
        weights: Files of weights that a node may lack.
    """

    settings: Mapping[str, Any]
    fail: bool
    kept: Kept
    here: str
    paths: tuple[str, ...]
    weights: Mapping[Place, Sent]


def order_of(task: Task) -> Order:
    """The order of a run; weights outside the project are read into it.

    Raises:
        errors.WeightsError: A file of weights doesn't exist.
    """
    return Order(
        _settings(task),
        task.fail,
        _kept(task),
        str(Path.cwd()),
        tuple(sys.path),
        collect(task.config),
    )


def _settings(task: Task) -> dict[str, Any]:
    """The configuration for workers: what each node could choose otherwise is fixed."""
    config, device = task.config, task.compute.device
    settings = config.dump()
    settings["sinks"] = {}
    settings["compute"] |= {
        "device": device.type,
        "dtype": str(choose_dtype(config.compute.dtype, device)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "engine": {"kind": "local", "shard": task.shard},
    }
    dtype = None if task.detector is None else task.detector.fingerprint.get("dtype")
    if dtype is not None and config.detector and hasattr(config.detector.config, "dtype"):
        settings["detector"]["dtype"] = dtype
    for name, own in config.own_detectors.items():
        if "dtype" in settings["arms"][name]["detector"]:
            chosen = str(choose_dtype(own.config.dtype, device)).removeprefix("torch.")
            settings["arms"][name]["detector"]["dtype"] = chosen
    return settings


def _kept(task: Task) -> Kept:
    """Which images the sinks of a run read."""
    config = task.config
    sinks = [sink.as_sink for sink in config.sinks.values()]
    pictured = [name for name, arm in config.arms.items() if arm.as_arm.is_shown]
    arms = {arm for s in sinks if s.reads_images for arm in s.shown_arms() or pictured}
    return Kept(tuple(arm for arm in pictured if arm in arms), any(s.reads_frames for s in sinks))
