"""Builds a run's source and arms from its configuration."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from common.component import OwnConfig
from common.device import choose_dtype
from common.errors import ConfigError
from pipeline.arms._fuser import FuserArm
from pipeline.config.components import Component
from pipeline.config.config import Config
from pipeline.engine.compute import Arms
from pipeline.interfaces import Arm, Source


def build_source(config: Config, names: Mapping[int, str]) -> Source:
    """The source of a configuration; ``names`` are the detector's classes."""
    source = config.source.module.build(config.source.config, names)
    if not isinstance(source, Source):
        kind = config.source.kind
        raise ConfigError(f"source.kind: {kind} builds no pipeline.interfaces.Source")
    return source


def build_arms(config: Config, device: torch.device) -> Arms:
    """The arms of a configuration, fusers on the device; those of equal settings are one object.

    Raises:
        errors.IrvisError: An arm can't be built.
    """
    dtype = choose_dtype(config.compute.dtype, device)
    arms: dict[str, Arm] = {}
    by_settings: dict[str, Arm] = {}
    for name, component in config.arms.items():
        if not component.as_arm.has_image and config.detector is None:
            raise ConfigError(
                f"arms.{name}: merges detections, but there is no detector; remove "
                f"the arm with arms.{name}=null"
            )
        settings = repr(replace(component, own=OwnConfig()).dump())
        # an arm that reads images may go on in a file of its own
        if settings not in by_settings or component.as_arm.reads_images:
            by_settings[settings] = build_arm(name, component, device, dtype)
        arms[name] = by_settings[settings]
    return arms


def build_arm(name: str, component: Component, device: torch.device, dtype: torch.dtype) -> Arm:
    """One arm, its fuser on the device; ``dtype`` is that of a network.

    Raises:
        errors.IrvisError: It can't be built.
    """
    built = component.module.build(component.config)
    if isinstance(built, Arm):
        return built
    if not callable(built):
        raise ConfigError(f"arms.{name}.kind: {component.kind} builds no fuser")
    return FuserArm(built, device=device, dtype=dtype, config=component.as_arm)
