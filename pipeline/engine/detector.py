"""Building the detectors of a run."""

import torch

from common.errors import ConfigError
from detection.detector import Detector
from eval.class_names import COCO_NAMES
from pipeline.config.config import Config


def build_detector(config: Config, device: torch.device) -> tuple[Config, Detector | None]:
    """The configuration with the ids of the detector's classes, and the detector.

    Raises:
        errors.IrvisError: It can't be built, or lacks a scored class.
    """
    component = config.detector
    if component is None:
        return config.for_classes(COCO_NAMES), None
    build, settings = component.module.build, component.config
    try:
        detector: Detector = build(settings, device=device)
    except ConfigError:
        # The preset has COCO's ids; the detector's own names are known only after building it.
        if "classes" in (config.given_detector or {}) or getattr(settings, "classes", None) is None:
            raise
        detector = build(settings.model_copy(update={"classes": None}), device=device)
    config = config.for_classes(detector.names)
    assert config.detector is not None, "it was there before"
    if config.detector.config != settings:
        detector = build(config.detector.config, device=device)
    return config, detector


def build_detectors(
    config: Config, detector: Detector | None, device: torch.device
) -> dict[str, Detector]:
    """The detector of each arm with an image: its own one, or the run's; empty without one.

    Args:
        config: As ``build_detector`` returns it.
        detector: The run's.
        device: Where they compute.

    Raises:
        errors.IrvisError: One can't be built, has other classes than the run's, or takes another
            number of channels than the arm's image has.
    """
    if detector is None:
        return {}
    built = {}
    for name, arm in config.arms.items():
        if not arm.as_arm.has_image:
            continue
        mine, own = detector, config.own_detectors.get(name)
        if own is not None:
            mine = own.module.build(own.config, device=device)
            if mine.names != detector.names:
                raise ConfigError(
                    f"arms.{name}.detector: has other classes than detector; give one with the same"
                )
        taken = getattr(mine, "channels", 3)
        if taken != arm.as_arm.channels:
            raise ConfigError(
                f"arms.{name}: its image has {arm.as_arm.channels} channels, its detector takes "
                f"{taken}; set arms.{name}.detector.weights to one that was trained for this arm"
            )
        built[name] = mine
    return built
