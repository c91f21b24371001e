"""The settings of the configuration in words: of each kind, and of each section without kinds."""

import importlib
import inspect
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from common.component import OwnConfig
from common.errors import ConfigError, shown
from pipeline.config.components import FOLDERS, kinds, module_of, suggest
from pipeline.config.sections import (
    ComputeConfig,
    EvaluationConfig,
    PerturbConfig,
    RegistrationConfig,
    RunConfig,
)

Schema = Mapping[str, Any]

SECTIONS: Mapping[str, type[BaseModel]] = {
    "run": RunConfig,
    "registration": RegistrationConfig,
    "perturb": PerturbConfig,
    "evaluation": EvaluationConfig,
    "compute": ComputeConfig,
}
PARTS = (*FOLDERS, *SECTIONS)


class Setting(NamedTuple):
    """One setting: its name, type and default as YAML has them, and what it means."""

    name: str
    type: str
    default: str
    meaning: str


def meaning(part: str, kind: str | None = None) -> str:
    """The first line of the documentation of a kind, or of a section, without its full stop.

    Raises:
        ConfigError: There is no such part or kind.
    """
    if part in FOLDERS and kind is not None:
        module = module_of(part, kind)
        text = module.__doc__ or module.Config.__doc__  # its own, not its base's
    elif part in FOLDERS:
        text = importlib.import_module(FOLDERS[part][-1]).__doc__
    else:
        text = inspect.getdoc(_model(part, kind))
    return inspect.cleandoc(text or "").partition("\n")[0].rstrip(".").replace("``", "`")


def settings(part: str, kind: str | None = None) -> list[Setting]:
    """The settings of a kind, or of a section without kinds.

    Args:
        part: A part of the configuration, such as "arms" or "compute".
        kind: A kind of the part, or the dotted path of the user's own module.

    Raises:
        ConfigError: There is no such part or kind.
    """
    own = _settings(OwnConfig) if part == "arms" else []
    return _settings(_model(part, kind)) + own


def _settings(model: type[BaseModel]) -> list[Setting]:
    schema = model.model_json_schema()
    required, types = schema.get("required", []), schema.get("$defs", {})
    return [
        Setting(
            name,
            type_text(field, types),
            "required" if name in required else json.dumps(field.get("default")),
            field.get("description", ""),
        )
        for name, field in schema.get("properties", {}).items()
    ]


def _model(part: str, kind: str | None) -> type[BaseModel]:
    if part not in PARTS:
        homes = [f"irvis kinds {home} {part}" for home in FOLDERS if part in kinds(home)]
        if homes and kind is None:
            raise ConfigError(f"{part} is a kind and no part: {' or '.join(homes)}")
        raise ConfigError(f"no part {shown(part)}; {suggest(part, PARTS)}")
    if part in SECTIONS:
        if kind is not None:
            raise ConfigError(f"{part} has no kinds, but settings: irvis kinds {part}")
        return SECTIONS[part]
    if kind is None:
        raise ConfigError(f"{part} has kinds; {suggest('', kinds(part))}")
    model: type[BaseModel] = module_of(part, kind).Config
    return model


def type_text(schema: Schema, types: Mapping[str, Schema]) -> str:
    """The type that a JSON schema describes, as text.

    Args:
        schema: Of a value.
        types: The schemas that it refers to, by name.
    """
    if "$ref" in schema:
        return type_text(types[schema["$ref"].rpartition("/")[2]], types)
    if "enum" in schema:
        return " | ".join(json.dumps(value).strip('"') for value in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"]).strip('"')
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_text(each, types) for each in schema["anyOf"]))
    if "prefixItems" in schema:
        return f"[{', '.join(type_text(each, types) for each in schema['prefixItems'])}]"
    name: str = schema.get("type", "any")
    if name == "array":
        return f"list of {type_text(schema.get('items', {}), types)}"
    if name == "object":
        fields = schema.get("properties")
        return f"{{{', '.join(fields)}}}" if fields else "map"
    words = {
        "string": "path" if schema.get("format") == "path" else "text",
        "boolean": "true | false",
    }
    return words.get(name, name) + _limits(schema)


def _limits(schema: Schema) -> str:
    """The range of a number, or nothing."""
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and high is not None:
        ends = ("[" if "minimum" in schema else "(", "]" if "maximum" in schema else ")")
        return f" {ends[0]}{low:g}, {high:g}{ends[1]}"
    if low is not None:
        return f" {'≥' if 'minimum' in schema else '>'} {low:g}"
    if high is not None:
        return f" {'≤' if 'maximum' in schema else '<'} {high:g}"
    return ""
