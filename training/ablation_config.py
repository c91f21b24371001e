"""The configuration of an ablation: variants of one training, and how their weights are scored."""

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from common.errors import ConfigError, shown
from pipeline.config import components, yaml_file
from pipeline.config import config as runs
from pipeline.config.config import read_settings
from pipeline.config.overrides import apply_overrides
from pipeline.config.sections import NAME, RunConfig, Section
from pipeline.config.sweep_plan import OWN
from training import config as trainings
from training.loop import WEIGHTS

SCORED = "scored"  # folder of the scored run, beside those of the variants


class AblationRunConfig(RunConfig):
    """The name of the ablation, and how its scored run handles bad pairs."""

    name: str = Field("ablate", pattern=NAME, description="the folder is runs/<name>")


class File(Section):
    """The top level of a configuration file; trainings and the scored run are checked later."""

    run: AblationRunConfig = AblationRunConfig()
    base: str = Field(description="configuration of the training, a file or a name")
    train: dict[str, Any] = Field(
        {}, description="changes of it for all variants: sections, or values by dotted key"
    )
    variants: dict[str, dict[str, Any] | None] = Field(
        description="changes of each variant, by name, as in train; {} for none"
    )
    against: tuple[str, ...] = Field(
        min_length=1, description="variants and arms that all others are compared with"
    )
    scoring: dict[str, Any] = Field(
        description="a run's configuration; the variants are added to its arms"
    )


@dataclass(frozen=True, slots=True)
class Variant:
    """One training.

    Attributes:
        changes: Its own settings by dotted key.
        config: The validated configuration.
    """

    changes: Mapping[str, Any]
    config: trainings.Config


@dataclass(frozen=True, slots=True)
class Config:
    """A validated configuration."""

    run: AblationRunConfig
    base: str
    variants: Mapping[str, Variant]
    against: tuple[str, ...]
    scoring: Mapping[str, Any]

    def scored_run(self, folder: Path) -> runs.Config:
        """The run that scores all variants' weights, and the arms of ``scoring``.

        Args:
            folder: Of the ablation.

        Raises:
            ConfigError: ``scoring`` is wrong.
        """
        trained = {
            name: {"kind": variant.config.kind, "weights": str(folder / name / WEIGHTS)}
            for name, variant in self.variants.items()
        }
        own = self.run.model_copy(update={"dir": folder / SCORED, "resume": False})
        settings = {
            "sinks": {"results": {"kind": "results"}},
            **self.scoring,
            "run": own.model_dump(),
            "arms": {**trained, **(self.scoring.get("arms") or {})},
        }
        try:
            checked = runs.check(settings)
        except ConfigError as error:
            raise ConfigError(f"scoring: {error}") from error
        if not checked.is_scored:
            raise ConfigError("scoring.sinks: none writes the scores; leave sinks out")
        return checked


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file and apply overrides.

    Args:
        path: A YAML file, or the name of one; see ``yaml_file.find``.
        overrides: `dotted.key=value`, the value as YAML; `variants.NAME=null` removes a variant.

    Raises:
        ConfigError: A key or value is unknown or wrong; the text names the variant, the key and
            the fix.
    """
    file = components.validate(File, read_settings(path, overrides), "")
    changes = {name: by_key(own) for name, own in file.variants.items() if own is not None}
    if not changes:
        raise ConfigError("variants: there are none; add one, e.g. variants.full={}")
    _check_names(changes, file)
    common = by_key(file.train)
    try:
        base = yaml_file.read(Path(file.base))
    except ConfigError as error:
        raise ConfigError(f"base: {error}") from error
    _training(base, [common], "base with train")
    config = Config(
        run=file.run,
        base=file.base,
        variants={
            name: Variant(own, _training(base, [common, own], f"variants.{name}"))
            for name, own in changes.items()
        },
        against=file.against,
        scoring=file.scoring,
    )
    arms = config.scored_run(Path()).arms
    for other in file.against:
        if other not in arms:
            raise ConfigError(
                f"against: there is no {shown(other)}; {components.suggest(other, list(arms))}"
            )
    return config


def by_key(settings: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """Nested settings by dotted key; lists, plain values and empty sections are not divided."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        key = f"{section}{name}"
        flat |= by_key(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return flat


def _check_names(variants: Collection[str], file: File) -> None:
    """Names of variants are names of folders and of arms."""
    for name in variants:
        components.validate(RunConfig, {"name": name}, "variants called")
        if name == SCORED or name in (file.scoring.get("arms") or {}):
            raise ConfigError(f"variants.{name}: this name is taken; rename the variant")
    if "run" in file.scoring:
        raise ConfigError("scoring.run: belongs to the whole ablation; use run")


def _training(
    base: Mapping[str, Any], changes: Sequence[Mapping[str, Any]], where: str
) -> trainings.Config:
    """The base with changes, one after another."""
    settings = copy.deepcopy(dict(base))
    try:
        for some in changes:
            if own := sorted(set(some).intersection(OWN)):
                raise ConfigError(f"{own[0]}: belongs to the whole ablation; leave it out")
            apply_overrides(settings, some)
        return trainings.check(settings)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
