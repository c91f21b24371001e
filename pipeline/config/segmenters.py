"""The segmenters of a configuration: one for each arm, which override the common settings."""

from collections.abc import Mapping
from typing import Any, Protocol

from common.errors import ConfigError
from pipeline.config import components
from pipeline.config.components import Component
from pipeline.config.sections import ComputeConfig, EvaluationConfig


class Sections(Protocol):
    """The sections of a configuration file that segmenters depend on."""

    @property
    def evaluation(self) -> EvaluationConfig:
        """Says what is scored."""
        ...

    @property
    def segmenter(self) -> Mapping[str, Any] | None:
        """Settings that those of an arm override."""
        ...

    @property
    def detector(self) -> Mapping[str, Any] | None:
        """The detector, which finds no masks."""
        ...

    @property
    def compute(self) -> ComputeConfig:
        """Says where the pairs are computed."""
        ...


def load_segmenters(file: Sections, arms: Mapping[str, Component]) -> dict[str, Component]:
    """The segmenter of each arm; empty where boxes are scored.

    Args:
        file: The configuration file.
        arms: Every arm.

    Raises:
        ConfigError: There are segmenters and nothing scores masks, or the other way round; an arm
            has no image; or a setting is wrong.
    """
    own = {name: arm.own.segmenter for name, arm in arms.items()}
    if file.evaluation.task != "segmentation":
        if file.segmenter is not None or any(given is not None for given in own.values()):
            raise ConfigError("segmenter: masks are not scored; set evaluation.task=segmentation")
        return {}
    _check(file)
    segmenters = {}
    for name, arm in arms.items():
        if not arm.as_arm.has_image:
            raise ConfigError(
                f"arms.{name}: has no image to segment; remove it with arms.{name}=null"
            )
        settings = {**(file.segmenter or {}), **(own[name] or {})}
        segmenters[name] = components.load("segmenter", settings, f"arms.{name}.segmenter")
    return segmenters


def _check(file: Sections) -> None:
    """Check that masks, and nothing else, can be scored.

    Raises:
        ConfigError: They can't.
    """
    if file.segmenter is None:
        raise ConfigError(
            "segmenter: there is none, but evaluation.task is segmentation; set "
            "segmenter.kind=unet, and arms.NAME.segmenter.weights=FILE"
        )
    if file.detector is not None:
        raise ConfigError(
            "detector: evaluation.task is segmentation, which needs none; remove it with "
            "detector=null"
        )
    if file.compute.engine.get("kind", "local") != "local":
        raise ConfigError(
            "compute.engine.kind: masks are computed on this machine alone; use local"
        )
