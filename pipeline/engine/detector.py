"""Building the detector of a run."""

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
