"""The contents of `timing.json`: all times of a run, which no other file has."""

import platform
from collections.abc import Mapping
from typing import Any

import torch

from pipeline.engine.compute import Compute


def describe_timing(
    compute: Compute,
    stages: Mapping[str, Mapping[str, float]],
    *,
    pairs: int,
    wall_s: float,
) -> dict[str, Any]:
    """The contents of ``timing.json``.

    ``stages`` has the busy and waiting seconds of what runs side by side, ``parts`` the busy
    seconds of what they do, ``arms_ms_per_pair`` what each arm takes of the computation once it is
    warm: the first batch, in which kernels are compiled, is in all numbers but these.

    Args:
        compute: What computed, the evaluation's seconds in its clock.
        stages: What ``Flow.times`` gives.
        pairs: Pairs that this run computed.
        wall_s: Seconds from the start of the run on.
    """
    busy = compute.clock.busy
    evaluate = {"busy_s": busy["evaluate"], "wait_s": 0.0}
    return {
        "wall_s": wall_s,
        "pairs": max(1, pairs),
        "stages": {**stages, "evaluate": evaluate},
        "parts": {name: {"busy_s": seconds} for name, seconds in busy.items()},
        "arms_ms_per_pair": compute.ms_per_pair(),
        "machine": {"device": _name(compute.device), "threads": torch.get_num_threads()},
    }


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
