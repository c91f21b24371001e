"""The segmenters of a configuration: one for each arm, which override the common settings."""

from collections.abc import Mapping
from typing import Any

from common.errors import ConfigError
from pipeline.config import components
from pipeline.config.components import Component
from pipeline.config.sections import EvaluationConfig


def load_segmenters(
    evaluation: EvaluationConfig,
    common: Mapping[str, Any] | None,
    arms: Mapping[str, Component],
) -> dict[str, Component]:
    """The segmenter of each arm; empty where boxes are scored.

    Args:
        evaluation: Says what is scored.
        common: The section ``segmenter``, whose settings those of an arm override.
        arms: Every arm.

    Raises:
        ConfigError: There are segmenters and nothing scores masks, or the other way round; an arm
            has no image; or a setting is wrong.
    """
    own = {name: arm.as_arm.segmenter for name, arm in arms.items()}
    if evaluation.task != "segmentation":
        if common is not None or any(given is not None for given in own.values()):
            raise ConfigError("segmenter: masks are not scored; set evaluation.task=segmentation")
        return {}
    if common is None:
        raise ConfigError(
            "segmenter: there is none, but evaluation.task is segmentation; set "
            "segmenter.kind=unet, and arms.NAME.segmenter.weights=FILE"
        )
    segmenters = {}
    for name, arm in arms.items():
        if not arm.as_arm.has_image:
            raise ConfigError(
                f"arms.{name}: merges detections, it has no image to segment; remove it with "
                f"arms.{name}=null"
            )
        settings = {**common, **(own[name] or {})}
        segmenters[name] = components.load("segmenter", settings, f"arms.{name}.segmenter")
    return segmenters
