"""Components by kind: `kind: average` is the module of that name in the folder of its part.

A component module has a `Config` (a frozen pydantic model that forbids unknown keys) and a `build`
function. Modules whose names begin with `_` are helpers. Only the named module is imported. A kind
with a dot is the import path of the user's own module, as is the name of a file in the working
folder (`own_fuser` for `own_fuser.py`). An installed package adds kinds by entry points of the
groups `irvis.source`, `irvis.arms`, `irvis.detector`, `irvis.segmenter`, `irvis.sinks` and
`irvis.engine`, each the name of a kind and its module.
"""

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from common.component import ArmConfig, ComponentConfig, EngineConfig, OwnConfig, SinkConfig
from common.errors import ConfigError, cut, shown
from common.files import ELSEWHERE, is_address

Model = TypeVar("Model", bound=BaseModel)

# Packages of the kinds of each part of the configuration.
FOLDERS = {
    "source": ("pipeline.sources",),
    "arms": ("fusion.fusers", "pipeline.arms"),
    "detector": ("detection.detectors",),
    "segmenter": ("segmentation.segmenters",),
    "sinks": ("pipeline.sinks",),
    "engine": ("pipeline.engine.engines",),
}


@dataclass(frozen=True, slots=True)
class Component:
    """A component of the configuration: its module and validated settings."""

    kind: str
    module: ModuleType
    config: Any  # the module's own Config
    own: OwnConfig = field(default_factory=OwnConfig)  # of an arm

    @property
    def as_component(self) -> ComponentConfig:
        """The settings as those of a component; the defaults if they are a plain model."""
        return self.config if isinstance(self.config, ComponentConfig) else ComponentConfig()

    @property
    def as_arm(self) -> ArmConfig:
        """The settings as those of an arm; the defaults if they are of another class."""
        return self.config if isinstance(self.config, ArmConfig) else ArmConfig()

    @property
    def as_sink(self) -> SinkConfig:
        """The settings as those of a sink; the defaults if they are of another class."""
        return self.config if isinstance(self.config, SinkConfig) else SinkConfig()

    @property
    def as_engine(self) -> EngineConfig:
        """The settings as those of an engine; the defaults if they are of another class."""
        return self.config if isinstance(self.config, EngineConfig) else EngineConfig()

    def dump(self) -> dict[str, Any]:
        """The explicit settings as plain values, `kind` first.

        Defaults are left out, because settings of a network that are stored in its weights file
        could contradict them.
        """
        settings: dict[str, Any] = self.config.model_dump(mode="json", exclude_unset=True)
        return {"kind": self.kind, **settings, **self.own.model_dump(exclude_unset=True)}


def kinds(part: str) -> list[str]:
    """The names of the kinds of a part, a key of ``FOLDERS``."""
    own = {name for folder in FOLDERS[part] for name in _modules(folder)}
    return sorted(own.union(_plugins(part)))


def load(
    part: str,
    settings: Mapping[str, Any],
    key: str,
    defaults: Mapping[str, Any] | None = None,
    others: Sequence[str] = (),
) -> Component:
    """Validate the settings of one component and import its module.

    Args:
        part: Part of the configuration, a key of ``FOLDERS``.
        settings: `kind` and the settings of the kind.
        key: Dotted key of the component, for messages ("arms.fused").
        defaults: Settings that are not given, for kinds that have them.
        others: Names besides those of the kind, for messages.

    Raises:
        ConfigError: The kind is unknown, or a setting is missing, unknown or of the wrong type.
    """
    kind = settings.get("kind")
    if not isinstance(kind, str):
        raise ConfigError(f"{key}.kind is missing; choose from {', '.join(kinds(part))}")
    module = module_of(part, kind, key)
    known = {k: v for k, v in (defaults or {}).items() if k in module.Config.model_fields}
    given = {name: value for name, value in settings.items() if name != "kind"}
    return Component(kind, module, validate(module.Config, {**known, **given}, key, others))


def load_arm(settings: Mapping[str, Any], key: str) -> Component:
    """An arm of a run, which can have a detector and a segmenter of its own.

    Raises:
        ConfigError: As ``load``.
    """
    names = tuple(OwnConfig.model_fields)
    given = {name: value for name, value in settings.items() if name not in names}
    own = {name: settings[name] for name in names if name in settings}
    component = load("arms", given, key, others=names)
    if taken := [name for name in names if name in type(component.config).model_fields]:
        raise ConfigError(
            f"{key}.kind: the Config of {component.kind} has a field {taken[0]}, which every arm "
            "has for another purpose; rename it there"
        )
    return replace(component, own=validate(OwnConfig, own, key))


def validate(
    model: type[Model], settings: Mapping[str, Any], key: str, others: Sequence[str] = ()
) -> Model:
    """Validate settings by a model.

    Args:
        model: The model.
        settings: Values by name.
        key: Dotted key of the settings, for messages.
        others: Names besides those of the model, for messages.

    Raises:
        ConfigError: A setting is missing, unknown or wrong; the text names its dotted key and the
            choices.
    """
    try:
        checked = model.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_explain(error.errors()[0], model, key, others)) from error
    for name, value in checked:
        if isinstance(value, Path):
            where = f"{key}.{name}".lstrip(".")
            try:
                if not value.exists() and is_address(value):
                    given = shown(str(settings.get(name, value)))
                    raise ConfigError(f"{where}: {given} {ELSEWHERE}")
            except OSError as error:  # too long, or in a folder that can't be read
                reason = f"can't be opened ({error.strerror})"
                raise ConfigError(f"{where}: {shown(str(value))} {reason}") from error
    return checked


def suggest(word: str, choices: Sequence[str], others: Sequence[str] = ()) -> str:
    """The end of a message about an unknown name: the closest name, and all choices.

    Args:
        word: The unknown name.
        choices: Names that are listed.
        others: Names that may be meant too.
    """
    close = difflib.get_close_matches(cut(word), [*choices, *others], n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}choose from {', '.join(choices) or 'nothing: there are none'}"


def _plugins(part: str) -> dict[str, str]:
    """The modules of installed packages by kind."""
    return {entry.name: entry.value for entry in entry_points(group=f"irvis.{part}")}


def _modules(folder: str) -> list[str]:
    package = importlib.import_module(folder)
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if not name.startswith("_")]


def module_of(part: str, kind: str, key: str | None = None) -> ModuleType:
    """The module of a kind.

    Args:
        part: Part of the configuration, a key of ``FOLDERS``.
        kind: Its kind, or the user's own module.
        key: Dotted key of the component, for messages; None for the part.

    Raises:
        ConfigError: There is no such kind, or its module can't be imported.
    """
    key = key or part
    for folder in FOLDERS[part]:
        if kind in _modules(folder):
            return importlib.import_module(f"{folder}.{kind}")
    if module := _plugins(part).get(kind):
        return _import_own(module, key)
    if is_own(kind):
        return _import_own(kind, key)
    choices = suggest(kind, kinds(part), _own_files())
    raise ConfigError(
        f"{key}.kind: unknown {shown(kind)}; {choices}, or give the dotted path of your own module"
    )


def is_own(kind: str) -> bool:
    """Whether a kind is the user's own: a dotted path, or a file in the working folder."""
    # listed, because the name of a file may be too long to be asked for
    return "." in kind or (kind.isidentifier() and kind in _own_files())


def _own_files() -> list[str]:
    return [path.stem for path in Path().glob("*.py")]


def _import_own(kind: str, key: str) -> ModuleType:
    """Import the user's own module, also from the current folder."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(kind)
    except (ImportError, TypeError, ValueError) as error:
        raise ConfigError(f"{key}.kind: cannot import {shown(kind)} ({error})") from error
    missing = [name for name in ("Config", "build") if not hasattr(module, name)]
    if missing:
        raise ConfigError(f"{key}.kind: module {kind} has no {missing[0]!r}")
    return module


def _explain(error: ErrorDetails, model: type[BaseModel], key: str, others: Sequence[str]) -> str:
    where = ".".join((key, *(cut(str(part)) for part in error["loc"]))).lstrip(".")
    if error["type"] == "extra_forbidden":
        choices = [*_fields_at(model, error["loc"][:-1]), *others]
        return f"unknown key {where}; {suggest(str(error['loc'][-1]), choices)}"
    if error["type"] == "missing":
        return f"{where} is missing; add it to the file or give {where}=VALUE"
    message = error["msg"].removeprefix("Value error, ")
    return f"{where}: {cut(message[:1].lower() + message[1:], 200)}, not {shown(error['input'])}"


def _fields_at(model: type[BaseModel], path: Sequence[int | str]) -> Mapping[str, Any]:
    """The fields of the nested model at a path, also where that model may be left out."""
    for name in path:
        nested = model.model_fields[str(name)].annotation
        if isinstance(nested, UnionType):
            nested = next((kind for kind in get_args(nested) if kind is not NoneType), None)
        if not (isinstance(nested, type) and issubclass(nested, BaseModel)):
            return {}
        model = nested
    return model.model_fields
