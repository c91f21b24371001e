"""Overrides of a configuration: `dotted.key=value`, or values by dotted key."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from common.errors import ConfigError, shown
from common.files import parse_yaml

Overrides = Sequence[str] | Mapping[str, object]


def apply_overrides(settings: dict[str, Any], overrides: Overrides) -> dict[str, Any]:
    """Apply overrides to nested settings, and return these.

    Overrides of kinds are applied first, because another kind clears its section.

    Raises:
        ConfigError: An override has a wrong form.
    """
    if isinstance(overrides, Mapping):
        given = [(str(key), as_yaml(value)) for key, value in overrides.items()]
    else:
        given = [_parse(override) for override in overrides]
    for key, value in sorted(given, key=lambda item: not item[0].endswith(".kind")):
        _set(settings, key, value)
    return settings


def apply_override(settings: dict[str, Any], override: str) -> None:
    """Set one `dotted.key=value` in nested settings, making missing sections.

    Raises:
        ConfigError: It has no `=`, its value is not YAML, or a part of its key is a plain value.
    """
    _set(settings, *_parse(override))


def _parse(override: str) -> tuple[str, Any]:
    """The key and the value of `dotted.key=value`."""
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"{shown(override)} is not an override; write dotted.key=value")
    try:
        # YAML would read a pattern such as *_RGB as an alias, which a single value cannot have
        return key, text if text.startswith("*") else parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{key}: {shown(text)} is not a YAML value ({error})") from error


def _set(settings: dict[str, Any], key: str, value: object) -> None:
    names = key.split(".")
    if not all(names):
        raise ConfigError(f"{shown(key)} is not the key of an override; write dotted.key=value")
    section = settings
    for name in names[:-1]:
        if section.get(name) is None:
            section[name] = {}
        section = section[name]
        if not isinstance(section, dict):
            raise ConfigError(f"{key}: {name} is a plain value, it has no {names[-1]}")
    if names[-1] == "kind" and section.get("kind") not in (None, value):
        section.clear()  # settings of another kind
    section[names[-1]] = value


def as_yaml(value: object) -> Any:  # noqa: ANN401  (YAML values)
    """A copy of Python values as a YAML file holds them: paths as text, tuples as lists."""
    if isinstance(value, Mapping):
        return {key: as_yaml(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_yaml(part) for part in value]
    return str(value) if isinstance(value, PurePath) else value
