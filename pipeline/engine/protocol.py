"""What a run's numbers depend on besides its detector and its images, for `results.json`."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from common.checksums import sha256
from fusion.network import checkpoint
from pipeline.config.components import Component
from pipeline.config.config import Config
from pipeline.engine.device import choose_dtype
from pipeline.frames import Camera
from pipeline.geometry.registration import Calibration

# The arms that show one camera alone.
MODALITIES: Mapping[str, Camera] = {"ir_only": "ir", "vis_only": "vis"}


def describe(
    config: Config,
    arms: Mapping[str, Mapping[str, Any]],
    calibration: Calibration | None,
    device: torch.device,
) -> dict[str, Any]:
    """The run's part of ``protocol``.

    Args:
        config: The run's.
        arms: What ``identities`` says of it.
        calibration: Of the cameras, None without one.
        device: Where it computes.
    """
    return {
        "preset": config.preset.name,
        "modified": config.modified,
        # they speak of the preset as it is
        "notes": [] if config.modified else list(config.preset.notes),
        "classes": config.classes,
        "baselines": baselines(config),
        **({} if calibration is None else {"registration": calibration.homography}),
        "perturb": config.perturb.changes or None,
        "arms": arms,
        "compute": {
            "device": device.type,
            "dtype": str(choose_dtype(config.compute.dtype, device)).removeprefix("torch."),
            "batch": config.compute.batch,
            "threads": torch.get_num_threads(),
        },
        "versions": {"irvis": version("irvis"), "torch": torch.__version__},
    }


def baselines(config: Config) -> dict[str, str | None]:
    """The arms that show one modality alone: the first of their kind."""
    arms = config.arms.items()
    return {
        modality: next((name for name, arm in arms if arm.kind == kind), None)
        for kind, modality in MODALITIES.items()
    }


def identities(config: Config) -> dict[str, dict[str, Any]]:
    """Each arm's settings, and what its weights are if it has any."""
    return {name: _identity(arm) for name, arm in config.arms.items()}


def _identity(arm: Component) -> dict[str, Any]:
    """With the weights' content: a name could be another file tomorrow."""
    name = getattr(arm.config, "weights", None)
    path = checkpoint.find(name) if isinstance(name, str) else None
    return arm.dump() if path is None else {**arm.dump(), "weights_sha256": sha256(path)}
