"""The configuration of the training of segmenters, one for each arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from common.errors import ConfigError
from pipeline.config import components
from pipeline.config import config as run_config
from pipeline.config.config import read_settings
from pipeline.config.sections import ComputeConfig
from segmentation.unet import Settings
from training.config import ScheduleConfig, TrainRunConfig
from training.source_config import Section, check_own


class SegmentationData(Section):
    """The masks and what is taken of them."""

    masks: Path | None = Field(
        None, description="folder of the true masks, called as the pairs; default the source's own"
    )
    ignore: int | None = Field(None, ge=0, le=255, description="label of pixels that do not count")
    crop: int = Field(128, ge=16, le=2048, description="side of the crops, pixels")


class SegmenterFile(Section):
    """The top level of a configuration file; source and arms are those of runs."""

    task: Literal["segmentation"] = Field(description="trains a U-Net on the images of each arm")
    run: TrainRunConfig = TrainRunConfig(name="segment")
    source: dict[str, Any]
    arms: dict[str, dict[str, Any] | None]
    network: Settings
    data: SegmentationData = SegmentationData()
    schedule: ScheduleConfig = ScheduleConfig()
    compute: ComputeConfig = ComputeConfig(batch=8)


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """A validated configuration.

    Attributes:
        pairs: Source and arms, as those of a run that only fuses.
    """

    run: TrainRunConfig
    pairs: run_config.Config
    network: Settings
    data: SegmentationData
    schedule: ScheduleConfig
    compute: ComputeConfig

    def dump(self) -> dict[str, Any]:
        """As plain values, from which ``check`` makes the same configuration."""
        pairs = self.pairs.dump()
        return {
            "task": "segmentation",
            "run": self.run.model_dump(mode="json", exclude={"dir", "resume", "on_bad_pair"}),
            "source": pairs["source"],
            "arms": pairs["arms"],
            "network": self.network.model_dump(mode="json"),
            "data": self.data.model_dump(mode="json"),
            "schedule": self.schedule.model_dump(mode="json"),
            "compute": self.compute.model_dump(mode="json"),
        }


def load(path: Path, overrides: Sequence[str] = ()) -> SegmenterConfig:
    """Read a configuration file and apply overrides.

    Raises:
        ConfigError: The file or an override is wrong; the text names the key and the fix.
    """
    return check(read_settings(path, overrides))


def check(settings: Mapping[str, Any]) -> SegmenterConfig:
    """Check plain settings.

    Raises:
        ConfigError: A key or value is unknown or wrong.
    """
    file = components.validate(SegmenterFile, settings, "")
    check_own(file.arms)
    pairs = run_config.check(
        {"source": file.source, "arms": file.arms, "compute": file.compute.model_dump()}
    )
    for name, arm in pairs.arms.items():
        if not arm.as_arm.has_image:
            raise ConfigError(
                f"arms.{name}: has no image to segment; remove it with arms.{name}=null"
            )
        if arm.as_arm.channels not in (3, 6):
            raise ConfigError(
                f"arms.{name}: its image has {arm.as_arm.channels} channels, not 3 or 6"
            )
    if file.data.ignore in file.network.names:
        raise ConfigError(
            f"data.ignore: {file.data.ignore} is in network.names; leave it out there"
        )
    return SegmenterConfig(file.run, pairs, file.network, file.data, file.schedule, file.compute)
