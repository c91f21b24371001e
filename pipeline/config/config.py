"""The configuration: a YAML file, `dotted.key=value` overrides, and the validated result."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.errors import ConfigError, shown
from eval.class_names import COCO_NAMES
from eval.fingerprint import WITHOUT_DTYPE
from eval.presets import Preset, preset
from pipeline.config import components, yaml_file
from pipeline.config.class_ids import check_given, check_kept, ids_of
from pipeline.config.components import Component
from pipeline.config.detectors import (
    DETECTOR_SETTINGS,
    default_settings,
    keeping,
    load_detector,
    load_own_detectors,
)
from pipeline.config.overrides import Overrides, apply_overrides
from pipeline.config.sections import (
    ComputeConfig,
    EvaluationConfig,
    PerturbConfig,
    RegistrationConfig,
    RunConfig,
    Section,
)
from pipeline.config.segmenters import load_segmenters
from pipeline.run_folder.names import GALLERY, MASKS, PREDICTIONS, VIDEO

RESERVED = (GALLERY, MASKS, PREDICTIONS, VIDEO)  # folders of the run that no sink may be called
DEFAULT = yaml_file.SHIPPED / "demo.yaml"


class File(Section):
    """The top level of a configuration file; components are validated by their modules."""

    run: RunConfig = RunConfig()
    source: dict[str, Any]
    registration: RegistrationConfig | None = None
    perturb: PerturbConfig = PerturbConfig()
    arms: dict[str, dict[str, Any] | None]
    detector: dict[str, Any] | None = None
    segmenter: dict[str, Any] | None = None
    evaluation: EvaluationConfig = EvaluationConfig()
    compute: ComputeConfig = ComputeConfig()
    sinks: dict[str, dict[str, Any] | None] = {}


@dataclass(frozen=True, slots=True)
class Config:
    """A validated configuration."""

    run: RunConfig
    source: Component
    registration: RegistrationConfig | None
    perturb: PerturbConfig
    arms: Mapping[str, Component]
    detector: Component | None
    evaluation: EvaluationConfig
    preset: Preset
    compute: ComputeConfig
    engine: Component
    sinks: Mapping[str, Component]
    given_detector: Mapping[str, Any] | None  # without the preset's settings
    own_detectors: Mapping[str, Component]  # of arms that have one of their own
    given_segmenter: Mapping[str, Any] | None  # without what arms override
    segmenters: Mapping[str, Component]  # of every arm; empty where boxes are scored
    counted: tuple[int, ...] | None = None  # once the detector's classes are known
    counts_as_preset: bool = False  # whether ``counted`` are the preset's classes by name

    @property
    def modified(self) -> list[str]:
        """Settings of the detector, and of arms' own ones, that differ from the preset."""
        if self.detector is None:
            return []
        own = (
            f"arms.{arm}.detector.{name}"
            for arm, detector in self.own_detectors.items()
            for name in self._modified(detector)
        )
        return [*self._modified(self.detector), *own]

    def _modified(self, detector: Component) -> list[str]:
        expected = {name: getattr(self.preset, name) for name in DETECTOR_SETTINGS}
        if self.counts_as_preset:
            expected["classes"] = self.counted
        given = {name: getattr(detector.config, name, None) for name in expected}
        given["dtype"] = getattr(detector.config, "dtype", WITHOUT_DTYPE)
        return [name for name in expected if given[name] != expected[name]]

    @property
    def classes(self) -> tuple[int, ...] | None:
        """Ids of the classes that are scored, None for all that the detector has.

        Before ``for_classes``, those of COCO.
        """
        if self.counted is not None:
            return self.counted
        given = self.evaluation.classes
        return self.preset.classes if given is None else ids_of(given, COCO_NAMES)

    def for_classes(self, names: Mapping[int, str]) -> "Config":
        """The configuration for a detector of these classes, name by id.

        A preset's classes are those of the same names; where the detector has none of them, all of
        its classes count.

        Raises:
            ConfigError: It lacks classes that are to be scored; the text names all of them.
        """
        given = self.evaluation.classes
        if given is None and self.preset.class_names is None:
            return self
        wanted = given or self.preset.class_names or ()
        check_given(given or (), names)
        ids = ids_of(wanted, names)
        as_preset = given is None and len(ids) == len(wanted)
        ids = ids or tuple(sorted(names))
        given_ids = "classes" in (self.given_detector or {})
        detector = self.detector and keeping(self.detector, ids, given=given_ids)
        own = {arm: keeping(mine, ids, given=given_ids) for arm, mine in self.own_detectors.items()}
        return replace(
            self, detector=detector, own_detectors=own, counted=ids, counts_as_preset=as_preset
        )

    @property
    def shard(self) -> int:
        """Stills in a shard, a multiple of the batch."""
        batch = self.compute.batch
        return -(-self.engine.as_engine.shard // batch) * batch

    @property
    def is_scored(self) -> bool:
        """Whether a sink writes what the evaluation scores."""
        return any(component.as_sink.is_scored for component in self.sinks.values())

    def dump(self) -> dict[str, Any]:
        """As plain values, from which ``check`` makes the same configuration."""
        return {
            "run": self.run.model_dump(mode="json", exclude={"dir", "resume"}),
            "source": self.source.dump(),
            **(
                {"registration": self.registration.model_dump(mode="json")}
                if self.registration
                else {}
            ),
            "perturb": self.perturb.changes,
            "arms": {name: arm.dump() for name, arm in self.arms.items()},
            "detector": None if self.given_detector is None else dict(self.given_detector),
            **({} if self.given_segmenter is None else {"segmenter": dict(self.given_segmenter)}),
            "evaluation": self.evaluation.model_dump(mode="json"),
            "compute": {**self.compute.model_dump(mode="json"), "engine": self.engine.dump()},
            "sinks": {name: sink.dump() for name, sink in self.sinks.items()},
        }


def load(path: Path, overrides: Overrides = ()) -> Config:
    """Read a configuration file and apply overrides.

    Args:
        path: A YAML file, or the name of one; see ``yaml_file.find``.
        overrides: `dotted.key=value`, the value as YAML, or values by dotted key; `null` or None
            removes an arm, a sink or the detector.

    Raises:
        ConfigError: The file or an override is wrong; the text names the key and the fix.
    """
    return check(read_settings(path, overrides))


def read_settings(path: Path, overrides: Overrides) -> dict[str, Any]:
    """Read a configuration file with overrides as plain settings, not validated.

    Raises:
        ConfigError: The file cannot be read, or an override has a wrong form.
    """
    return apply_overrides(yaml_file.read(path), overrides)


def check(settings: Mapping[str, Any]) -> Config:
    """Validate plain settings.

    Raises:
        ConfigError: A key or value is unknown or wrong.
    """
    file = components.validate(File, settings, "")
    arms = {name: arm for name, arm in file.arms.items() if arm is not None}
    if not arms:
        raise ConfigError("arms: there are none; add one, e.g. arms.average.kind=average")
    _check_names("arms", arms)
    sinks = {name: sink for name, sink in file.sinks.items() if sink is not None}
    _check_names("sinks", sinks)
    protocol = preset(file.evaluation.preset)
    defaults = default_settings(protocol, file.evaluation.classes)
    loaded = {name: components.load_arm(arm, f"arms.{name}") for name, arm in arms.items()}
    config = Config(
        run=file.run,
        source=components.load("source", file.source, "source"),
        registration=file.registration,
        perturb=file.perturb,
        arms=loaded,
        detector=load_detector(file.detector, {}, defaults, "detector"),
        evaluation=file.evaluation,
        preset=protocol,
        compute=file.compute,
        engine=components.load(
            "engine", {"kind": "local", **file.compute.engine}, "compute.engine"
        ),
        sinks={name: components.load("sinks", s, f"sinks.{name}") for name, s in sinks.items()},
        given_detector=file.detector,
        own_detectors=load_own_detectors(file.detector, defaults, loaded),
        given_segmenter=file.segmenter,
        segmenters=load_segmenters(file, loaded),
    )
    _check_references(config)
    _check_classes(config)
    _check_sinks(config)
    _check_perturb(config)
    return config


def _check_classes(config: Config) -> None:
    """Check that the detector keeps all scored classes."""
    kept = getattr(config.detector.config, "classes", None) if config.detector else None
    if config.is_scored:
        check_kept(config.classes or (), kept)


def _check_sinks(config: Config) -> None:
    if sum(component.as_sink.is_scored for component in config.sinks.values()) > 1:
        raise ConfigError("sinks: there can be one of kind results; remove the others with =null")
    for name, sink in config.sinks.items():
        if sink.as_sink.needs_results and not config.is_scored:
            raise ConfigError(
                f"sinks.{name}: a {sink.kind} needs results; add sinks.results.kind=results"
            )
        if name in RESERVED or "." in name:
            raise ConfigError(f"sinks.{name}: a sink can't be called so; rename it")


def _check_perturb(config: Config) -> None:
    """Check that no arm has ready-made images, which cannot be perturbed."""
    for name, arm in config.arms.items():
        if config.perturb.changes and arm.as_arm.reads_images:
            raise ConfigError(
                f"perturb.{next(iter(config.perturb.changes))}: can't change arms.{name}, whose "
                f"images were made before; leave it out with arms.{name}=null, or set perturb={{}}"
            )


def _check_names(part: str, named: Mapping[str, object]) -> None:
    for name in named:
        components.validate(RunConfig, {"name": name}, f"{part} called")


def _check_references(config: Config) -> None:
    """Arms that others name must be there."""
    for name, component in config.arms.items():
        for arm in component.as_arm.merged_arms():
            _check_arm(config, arm, f"arms.{name}.arms")
            if not config.arms[arm].as_arm.has_image:
                raise ConfigError(
                    f"arms.{name}.arms: {shown(arm)} merges detections itself; name arms with "
                    "images"
                )
    for name, component in config.sinks.items():
        for arm in component.as_sink.shown_arms():
            _check_arm(config, arm, f"sinks.{name}.arms")


def _check_arm(config: Config, arm: str, key: str) -> None:
    if arm not in config.arms:
        part, _, _ = key.rpartition(".")
        raise ConfigError(
            f"{key}: there is no arm {shown(arm)}; {components.suggest(arm, list(config.arms))}, "
            f"or leave {part} out with {part}=null"
        )
