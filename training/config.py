"""The configuration of a training: a YAML file, overrides, and the checked result."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from common.errors import ConfigError, shown
from fusion.fusers import fusionmamba, gate_unet, mambadfuse
from pipeline.config import components
from pipeline.config.config import read_settings
from pipeline.config.sections import ComputeConfig, RunConfig
from training.source_config import KINDS, Folders, Section, SourceConfig

PaperLoss = Literal[  # of ``losses.PRESETS``
    "journal-ir-vis", "journal-ct-mri", "arxiv-v1", "mambadfuse-ir-vis", "mambadfuse-medical"
]  # fmt: skip
Network = fusionmamba.Config | gate_unet.Config | mambadfuse.Config
NETWORKS: Mapping[str, ModuleType] = {
    "fusionmamba": fusionmamba,
    "gate_unet": gate_unet,
    "mambadfuse": mambadfuse,
}
_Share = Annotated[float, Field(ge=0, le=1)]
_Weight = Annotated[float, Field(ge=0)]


class AugmentConfig(Section):
    """Augmentation of the crops; all crops are also flipped at random."""

    turned: bool = Field(True, description="rotate crops by random quarter turns")
    shifted: _Share = Field(
        0.5, description="share of crops whose infrared is misaligned for the network, not the loss"
    )
    shift: int = Field(4, ge=0, le=64, description="largest misalignment along each axis, pixels")
    darkened: _Share = Field(0.3, description="share of crops darkened to a night in visible")
    zoomed: float = Field(
        1.0, ge=1, le=4, description="largest factor by which crops are enlarged or shrunk"
    )
    centred: _Share = Field(0.0, description="share of crops with an object near the centre")


class DetectorConfig(Section):
    """A frozen detector whose loss on the fused image is part of the training loss."""

    weights: str = Field("yolov5s.pt", description="of an original YOLOv5, as detector.weights")
    classes: tuple[int, ...] = Field((0, 2), min_length=1, description="class ids to detect")


class LossConfig(Section):
    """Weights of the terms whose sum is minimised."""

    paper: PaperLoss | None = Field("journal-ir-vis", description="preset of the paper's loss")
    weights: tuple[_Weight, _Weight, _Weight] | None = Field(
        None, description="of intensity, texture and structure, in place of the preset's"
    )
    detector: float = Field(0.0, ge=0, description="weight of the source's detector loss")
    outside: float = Field(
        0.0, ge=0, description="weight of the squared excess over the range of both modalities"
    )
    teacher: float = Field(
        0.0, ge=0, description="weight of the mean absolute difference from the teacher's image"
    )


class DataConfig(Section):
    """The training pairs."""

    cache: Path = Field(Path("runs/cache"), description="folder of the decoded pairs")
    crop: int = Field(128, ge=32, le=1024, multiple_of=32, description="side, pixels")
    augment: AugmentConfig = AugmentConfig()
    sources: dict[str, dict[str, Any] | None]
    held_out: dict[str, dict[str, Any] | None] = Field(
        {}, description="pairs that must not be trained on, compared by their pixels"
    )


class ScheduleConfig(Section):
    """Steps, learning rate and optimizer settings."""

    steps: int = Field(2600, ge=1, description="steps of the optimizer")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="peak rate of AdamW")
    warmup: int = Field(100, ge=0, description="steps of linear increase before the cosine")
    clip: float = Field(50.0, gt=0, description="largest norm of the gradient, clipped above")
    ema: float = Field(0.995, ge=0, lt=1, description="decay of the averaged weights, the result")
    seed: int = Field(0, ge=0, description="seed of the initial weights and of the crops")
    decay: float = Field(0.0, ge=0, le=1, description="weight decay of AdamW")
    constant: bool = Field(False, description="keep the rate after the warm-up, without a cosine")

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup >= self.steps:
            raise ValueError(f"warmup ({self.warmup}) must be shorter than steps ({self.steps})")
        return self

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, from 0: linear warm-up, then half a cosine to 1 %."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.constant:
            return self.learning_rate
        progress = (step - self.warmup) / (self.steps - self.warmup)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


class SheetConfig(Folders):
    """Fixed pairs that are fused into a picture at regular steps."""

    keys: tuple[str, ...] = Field(min_length=1, max_length=32, description="stems of the pairs")
    every: int = Field(500, ge=1, description="steps")


class ScoresConfig(Section):
    """Labelled pairs that score the averaged weights at regular steps, by ``paper-msrs``."""

    every: int = Field(500, ge=1, description="steps")
    detector: str = Field(description="name of the scoring detector, in detectors")
    sets: dict[str, dict[str, Any]] = Field(
        min_length=1, description="sources, as of runs, by name"
    )


class TrainRunConfig(RunConfig):
    """The run; in training, a bad pair is always an error."""

    on_bad_pair: Literal["fail"] | None = None
    save_every: int = Field(200, ge=1, description="steps between checkpoints")


class File(Section):
    """The top level of a configuration file; sources are checked later, by kind."""

    run: TrainRunConfig = TrainRunConfig(name="train")
    network: dict[str, Any] = {}
    features: str | None = Field(None, description="initial weights of all layers but the head")
    teacher: str | None = Field(None, description="weights of a network to imitate")
    loss: LossConfig = LossConfig()
    detectors: dict[str, DetectorConfig] = {}
    data: DataConfig
    schedule: ScheduleConfig = ScheduleConfig()
    compute: ComputeConfig = ComputeConfig(batch=8)
    scores: ScoresConfig | None = None
    sheet: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """A validated configuration."""

    run: TrainRunConfig
    kind: str
    network: Network
    features: str | None
    teacher: str | None
    loss: LossConfig
    detectors: Mapping[str, DetectorConfig]
    data: DataConfig
    sources: Mapping[str, SourceConfig]
    held_out: Mapping[str, Folders]
    schedule: ScheduleConfig
    compute: ComputeConfig
    scores: ScoresConfig | None
    scored: Mapping[str, components.Component]
    sheet: SheetConfig | None

    def dump(self) -> dict[str, Any]:
        """As plain values, from which ``check`` makes the same configuration."""
        kinds = {model: kind for kind, model in KINDS.items()}
        sources = {
            name: {"kind": kinds[type(source)], **source.model_dump(mode="json")}
            for name, source in self.sources.items()
        }
        return {
            "run": self.run.model_dump(mode="json", exclude={"dir", "resume", "on_bad_pair"}),
            # unset: the weights file determines them, and explicit defaults could contradict it
            "network": {
                "kind": self.kind,
                **self.network.model_dump(mode="json", exclude_unset=True),
            },
            "features": self.features,
            "teacher": self.teacher,
            "loss": self.loss.model_dump(mode="json"),
            "detectors": {n: d.model_dump(mode="json") for n, d in self.detectors.items()},
            "data": {**self.data.model_dump(mode="json"), "sources": sources},
            "schedule": self.schedule.model_dump(mode="json"),
            "compute": self.compute.model_dump(mode="json"),
            "scores": None if self.scores is None else self.scores.model_dump(mode="json"),
            "sheet": None if self.sheet is None else self.sheet.model_dump(mode="json"),
        }


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file and apply overrides.

    Args:
        path: A YAML file, or the name of one; see ``pipeline.config.yaml_file.find``.
        overrides: `dotted.key=value`, the value as YAML; `null` removes a source or the sheet.

    Raises:
        ConfigError: The file or an override is wrong; the text names the key and the fix.
    """
    return check(read_settings(path, overrides))


def check(settings: Mapping[str, Any]) -> Config:
    """Check plain settings.

    Raises:
        ConfigError: A key or value is unknown or wrong.
    """
    file = components.validate(File, settings, "")
    if file.loss.teacher and file.teacher is None:
        raise ConfigError("loss.teacher: there is no teacher; give its weights, teacher=gate_unet")
    kind = file.network.get("kind", "fusionmamba")
    _known("network.kind", kind, NETWORKS)
    network = {name: value for name, value in file.network.items() if name != "kind"}
    checked, held_out = checked_sources(file.data.sources, file.data.held_out)
    for name, source in checked.items():
        if source.detector is not None:
            _known(f"data.sources.{name}.detector", source.detector, file.detectors)
    scored = {}
    if file.scores is not None:
        _known("scores.detector", file.scores.detector, file.detectors)
        scored = {
            name: components.load("source", given, f"scores.sets.{name}")
            for name, given in file.scores.sets.items()
        }
    return Config(
        run=file.run,
        kind=kind,
        network=components.validate(NETWORKS[kind].Config, network, "network"),
        features=file.features,
        teacher=file.teacher,
        loss=file.loss,
        detectors=file.detectors,
        data=file.data,
        sources=checked,
        held_out=held_out,
        schedule=file.schedule,
        compute=file.compute,
        scores=file.scores,
        scored=scored,
        sheet=None if file.sheet is None else components.validate(SheetConfig, file.sheet, "sheet"),
    )


def checked_sources(
    sources: Mapping[str, dict[str, Any] | None], held_out: Mapping[str, dict[str, Any] | None]
) -> tuple[dict[str, SourceConfig], dict[str, Folders]]:
    """Check the training pairs' sources and the folders of held-out pairs; None is left out.

    Raises:
        ConfigError: A setting is wrong, or no source is left.
    """
    checked = {
        name: _source(given, f"data.sources.{name}")
        for name, given in sources.items()
        if given is not None
    }
    if not checked:
        raise ConfigError("data.sources is empty; add a source, e.g. data.sources.a.kind=files")
    kept = {
        name: components.validate(Folders, given, f"data.held_out.{name}")
        for name, given in held_out.items()
        if given is not None
    }
    return checked, kept


def _source(settings: Mapping[str, Any], key: str) -> SourceConfig:
    kind = settings.get("kind")
    _known(f"{key}.kind", kind, KINDS)
    given = {name: value for name, value in settings.items() if name != "kind"}
    return components.validate(KINDS[str(kind)], given, key)


def _known(key: str, name: object, choices: Mapping[str, object]) -> None:
    """Check that the name is one of the choices."""
    if not isinstance(name, str) or name not in choices:
        raise ConfigError(
            f"{key}: unknown {shown(name)}; {components.suggest(str(name), list(choices))}"
        )
