"""What a run's numbers depend on besides its detector and its images, for `results.json`."""

from collections.abc import Collection, Mapping
from importlib.metadata import version
from typing import Any

import torch

from common.device import choose_dtype
from common.modality import MODALITIES, Modality
from detection.detector import Detector
from pipeline.config.components import Component
from pipeline.config.config import Config
from pipeline.geometry.registration import Calibration


def describe(
    config: Config,
    arms: Mapping[str, Mapping[str, Any]],
    calibration: Calibration | None,
    device: torch.device,
) -> dict[str, Any]:
    """The run's part of ``protocol``.

    Args:
        config: The run's.
        arms: What ``identities`` returns for it.
        calibration: Calibration of the cameras, or None.
        device: The compute device.
    """
    return {
        "preset": config.preset.name,
        "modified": config.modified,
        # the notes hold for the unmodified preset only
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
    """The first arm that shows each modality alone; None where there is none."""
    arms = config.arms.items()
    return {
        modality: next((name for name, arm in arms if arm.as_arm.modality == modality), None)
        for modality in MODALITIES
    }


def truths(config: Config, own_labels: Collection[Modality]) -> dict[str, Modality]:
    """By arm that shows a camera alone which has labels of its own: that camera."""
    shown = {name: arm.as_arm.modality for name, arm in config.arms.items()}
    return {name: camera for name, camera in shown.items() if camera and camera in own_labels}


def identities(config: Config, detectors: Mapping[str, Detector]) -> dict[str, dict[str, Any]]:
    """Each arm's settings, the sha256 of its weights if it has any, and a detector of its own.

    Args:
        config: The run's.
        detectors: By arm, its own one or the run's.
    """
    found = {name: _identity(arm) for name, arm in config.arms.items()}
    own = {name: {"detector": dict(detectors[name].fingerprint)} for name in config.own_detectors}
    return {name: {**arm, **own.get(name, {})} for name, arm in found.items()}


def _identity(arm: Component) -> dict[str, Any]:
    sha256 = arm.as_component.weights_sha256()
    return arm.dump() if sha256 is None else {**arm.dump(), "weights_sha256": sha256}
