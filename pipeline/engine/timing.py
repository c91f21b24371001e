"""The contents of `timing.json`: all times of a run."""

import platform
from collections.abc import Mapping
from typing import Any

import torch

from pipeline.engine.stream import Stream


def describe_timing(
    stream: Stream,
    stages: Mapping[str, Mapping[str, float]],
    *,
    evaluate_s: float,
    pairs: int,
    wall_s: float,
    device: torch.device,
) -> dict[str, Any]:
    """The contents of ``timing.json``.

    ``stages`` has the busy and waiting seconds of the concurrent stages, ``parts`` the busy seconds
    of their steps, ``arms_ms_per_pair`` each arm's time per pair without the first batch (warm-up).

    Args:
        stream: The results, all of which were taken.
        stages: What its ``times`` returns.
        evaluate_s: Busy seconds of the evaluation.
        pairs: Pairs that this run computed.
        wall_s: Seconds since the start of the run.
        device: The compute device.
    """
    busy = {**stream.busy, "evaluate": evaluate_s}
    evaluate = {"busy_s": evaluate_s, "wait_s": 0.0}
    return {
        "wall_s": wall_s,
        "pairs": max(1, pairs),
        "stages": {**stages, "evaluate": evaluate},
        "parts": {name: {"busy_s": seconds} for name, seconds in busy.items()},
        "arms_ms_per_pair": stream.ms_per_pair(),
        "machine": {
            "device": _name(device),
            "threads": torch.get_num_threads(),
            **({} if stream.crew is None else {"workers": stream.crew.wanted}),
        },
    }


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
