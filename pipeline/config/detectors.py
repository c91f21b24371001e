"""The detector of a configuration, and those of arms that have one of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from common.errors import ConfigError
from eval.class_names import COCO_NAMES
from eval.presets import Preset
from pipeline.config import components
from pipeline.config.class_ids import check_kept, ids_of
from pipeline.config.components import Component

# What a preset says to the detector, by the detector's own names.
DETECTOR_SETTINGS = (
    "image_size", "pad", "resize", "conf", "iou", "multi_label", "max_det", "classes",
    "dtype",
)  # fmt: skip


def default_settings(protocol: Preset, classes: Sequence[int | str] | None) -> dict[str, Any]:
    """The settings that a file needn't give: the preset's, and the classes that are scored.

    Args:
        protocol: The preset.
        classes: ``evaluation.classes``.
    """
    settings = {name: getattr(protocol, name) for name in DETECTOR_SETTINGS}
    if classes is not None:
        settings["classes"] = ids_of(classes, COCO_NAMES) or None
    return settings


def load_detector(
    given: Mapping[str, Any] | None, own: Mapping[str, Any], defaults: Mapping[str, Any], key: str
) -> Component | None:
    """The detector of a file's settings, overridden by an arm's own; None without one.

    Args:
        given: The section ``detector``.
        own: Settings of an arm; empty for the run's detector.
        defaults: What ``default_settings`` returns.
        key: Dotted key, for messages.

    Raises:
        ConfigError: A setting is wrong.
    """
    if given is None:
        return None
    return components.load("detector", {**given, **own}, key, defaults=defaults)


def load_own_detectors(
    given: Mapping[str, Any] | None, defaults: Mapping[str, Any], arms: Mapping[str, Component]
) -> dict[str, Component]:
    """The detectors of arms that have one of their own.

    Args:
        given: As for ``load_detector``.
        defaults: Likewise.
        arms: Every arm.

    Raises:
        ConfigError: An arm can't have one, or a setting is wrong.
    """
    detectors = {}
    for name, arm in arms.items():
        own, key = arm.own.detector, f"arms.{name}.detector"
        if own is None:
            continue
        if not arm.as_arm.has_image:
            raise ConfigError(f"{key}: the arm merges detections of others; remove it")
        if "classes" in own:
            raise ConfigError(f"{key}.classes: all arms have the same; set detector.classes")
        detector = load_detector(given, own, defaults, key)
        if detector is None:
            raise ConfigError(f"{key}: there is no detector whose settings it overrides; set one")
        detectors[name] = detector
    return detectors


def keeping(detector: Component, ids: tuple[int, ...], *, given: bool) -> Component:
    """The detector that keeps the classes of these ids, unless the file gives it others.

    Raises:
        ConfigError: Those that are given lack one.
    """
    if not hasattr(detector.config, "classes"):
        return detector
    if given:
        check_kept(ids, detector.config.classes)
        return detector
    return replace(detector, config=detector.config.model_copy(update={"classes": ids}))
