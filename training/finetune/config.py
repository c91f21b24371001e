"""The configuration of a fine-tuning: a run's sections, and what is trained on what."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from common.errors import ConfigError
from pipeline.config import components
from pipeline.config import config as run_config
from pipeline.config.components import Component
from pipeline.config.config import read_settings
from pipeline.config.overrides import Overrides
from pipeline.config.sections import ComputeConfig, RunConfig
from training.config import checked_sources
from training.finetune.batches import AugmentConfig
from training.finetune.loop import ScheduleConfig
from training.source_config import Folders, Section, SourceConfig, check_own

JOINT = "joint"  # the arm whose fuser is trained with its detector


class DataConfig(Section):
    """The training pairs; those without labels are left out."""

    cache: Path = Field(Path("runs/cache"), description="folder of decoded pairs and arms' images")
    crop: int = Field(512, ge=64, le=2048, multiple_of=32, description="side, pixels")
    augment: AugmentConfig = AugmentConfig()
    sources: dict[str, dict[str, Any] | None]
    held_out: dict[str, dict[str, Any] | None] = Field(
        {}, description="pairs that must not be trained on, besides those of `source`"
    )


class JointConfig(Section):
    """One more arm, ``joint``: a fuser that goes on learning together with its detector.

    After its epochs the fuser stays as it is, and the detector goes on learning on its images.
    """

    arm: str = Field("fused", description="the arm whose fuser it begins with")
    epochs: int = Field(4, ge=1, description="the first ones, in which the fuser learns too")
    fidelity: float = Field(
        0.01, ge=0, description="weight of the fusion paper's loss, beside the detector's"
    )


class File(Section):
    """The sections that a run's configuration doesn't have."""

    run: RunConfig = RunConfig(name="finetune")
    data: DataConfig
    schedule: ScheduleConfig = ScheduleConfig()
    joint: JointConfig | None = None
    seeds: int = Field(1, ge=1, le=100, description="trainings of each arm, from seed 1 on")
    workers: int = Field(1, ge=1, le=64, description="trainings at a time, a process each")
    compute: ComputeConfig = ComputeConfig()


def of_seed(arm: str, seed: int) -> str:
    """The name of an arm whose detector was trained with a seed."""
    return f"{arm}-{seed}"


@dataclass(frozen=True, slots=True)
class Config:
    """A validated configuration.

    Attributes:
        file: The training's sections.
        sources: Training pairs by name.
        held_out: Pairs that must not be trained on.
        scored: The run that scores all arms before training; its ``source`` are the test pairs.
        settings: All plain settings, from which ``check`` makes the same configuration.
    """

    file: File
    sources: Mapping[str, SourceConfig]
    held_out: Mapping[str, Folders]
    scored: run_config.Config
    settings: Mapping[str, Any]

    @property
    def run(self) -> RunConfig:
        """Name and folder."""
        return self.file.run

    @property
    def trained(self) -> list[str]:
        """The arms that get a detector of their own."""
        own = [name for name, arm in self.scored.arms.items() if arm.as_arm.has_image]
        return own + [JOINT] * (self.file.joint is not None)

    @property
    def merging(self) -> list[str]:
        """The arms that merge the detections of others."""
        return [name for name, arm in self.scored.arms.items() if not arm.as_arm.has_image]

    @property
    def trainings(self) -> list[tuple[str, int]]:
        """Arm and seed of every training, in their order: all arms of a seed first.

        ``joint`` is the first of them, since it takes longest and others can go on beside it.
        """
        arms = sorted(self.trained, key=lambda arm: arm != JOINT)
        return [(arm, seed) for seed in range(1, self.file.seeds + 1) for arm in arms]

    def arm(self, name: str) -> Component:
        """The component whose images are trained on; those of ``joint`` are made by its fuser."""
        joint = self.file.joint
        if name == JOINT and joint is not None:
            return components.load("arms", {"kind": "stacked"}, JOINT)
        return self.scored.arms[name]

    def dump(self) -> dict[str, Any]:
        """All settings that change a number, as plain values."""
        own = self.file.model_dump(mode="json", exclude={"run", "workers", "compute"})
        run = self.scored.dump()
        del run["run"], run["sinks"]
        return {**run, **own}


def load(path: Path, overrides: Overrides = ()) -> Config:
    """Read a configuration file and apply overrides.

    Args:
        path: A YAML file, or the name of one; see ``pipeline.config.yaml_file.find``.
        overrides: `dotted.key=value`, the value as YAML; `null` removes an arm, a source, or joint.

    Raises:
        ConfigError: The file or an override is wrong; the text names the key and the fix.
    """
    return check(read_settings(path, overrides))


def check(settings: Mapping[str, Any]) -> Config:
    """Check plain settings.

    Raises:
        ConfigError: A key or value is unknown or wrong.
    """
    fields = File.model_fields.keys()
    run_fields = run_config.File.model_fields.keys()
    known = [*dict.fromkeys((*fields, *run_fields))]
    for name in settings:
        if name not in known:
            raise ConfigError(f"unknown key {name}; {components.suggest(name, known)}")
    own = {name: value for name, value in settings.items() if name in fields}
    file = components.validate(File, own, "")
    if isinstance(arms := settings.get("arms"), Mapping):
        check_own(arms)
    sinks = {"results": {"kind": "results"}, "report": {"kind": "report"}}
    scored = run_config.check(
        {**{k: v for k, v in settings.items() if k in run_fields and k != "run"}, "sinks": sinks}
    )
    _check_arms(scored, file)
    _check_sources(file)
    sources, held_out = checked_sources(file.data.sources, file.data.held_out)
    return Config(file, sources, held_out, scored, dict(settings))


def _check_sources(file: File) -> None:
    """Check that no source has a setting that only `irvis train` follows."""
    for name, given in file.data.sources.items():
        for key in sorted({"weight", "detector"} & (given or {}).keys()):
            raise ConfigError(
                f"data.sources.{name}.{key}: is of `irvis train`; here all pairs are drawn equally "
                "often, by one detector; remove it"
            )


def _check_arms(scored: run_config.Config, file: File) -> None:
    if scored.detector is None:
        raise ConfigError("detector: there is none to train; set detector.weights")
    if file.joint is not None:
        if JOINT in scored.arms:
            raise ConfigError(f"arms.{JOINT}: this name is taken by the section joint; rename it")
        arm = file.joint.arm
        if arm not in scored.arms:
            raise ConfigError(
                f"joint.arm: there is no arm {arm}; "
                f"{components.suggest(arm, list(scored.arms))}, or set joint=null"
            )
    seeds = range(1, file.seeds + 1)
    trained = {of_seed(name, seed) for name in (*scored.arms, JOINT) for seed in seeds}
    for name in sorted(trained & scored.arms.keys()):
        raise ConfigError(f"arms.{name}: an arm after training is called so; rename it")
    for name, component in scored.arms.items():
        merged = component.as_arm.merged_arms()
        if merged and "arms" not in component.module.Config.model_fields:
            raise ConfigError(f"arms.{name}: has no setting arms; leave it out with =null")
