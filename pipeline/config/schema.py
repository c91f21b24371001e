"""The JSON schema of configurations, by which editors complete and check them."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from common.component import OwnConfig
from pipeline.config.components import FOLDERS, kinds, module_of
from pipeline.config.config import File
from pipeline.config.described import meaning

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def of_runs() -> tuple[Schema, Schema]:
    """The schema of a run's configuration, and the definitions that it refers to."""
    schema = of_model(File, "#/$defs")
    definitions = schema.pop("$defs")
    for part in FOLDERS:
        models = {kind: module_of(part, kind).Config for kind in kinds(part)}
        meanings = {kind: meaning(part, kind) for kind in models}
        definitions[part] = by_kind(part, models, meanings, definitions)
    own = of_model(OwnConfig, "#/$defs")["properties"]
    for kind in kinds("arms"):
        definitions[f"arms.{kind}"]["properties"] |= own
    definitions["ComputeConfig"]["properties"]["engine"] = {"$ref": "#/$defs/engine"}
    one = {part: {"$ref": f"#/$defs/{part}"} for part in FOLDERS}
    removable = {part: {"anyOf": [one[part], {"type": "null"}]} for part in FOLDERS}
    schema["properties"] |= {
        "source": one["source"],
        "arms": {"type": "object", "additionalProperties": removable["arms"]},
        "detector": removable["detector"],
        "segmenter": {"anyOf": [_partial(definitions["segmenter"]), {"type": "null"}]},
        "sinks": {"type": "object", "additionalProperties": removable["sinks"]},
    }
    return schema, definitions


def _partial(component: Schema) -> Schema:
    """The schema of a component without what its kind needs, which arms may give."""
    return {name: part for name, part in component.items() if name != "allOf"}


def by_kind(
    part: str,
    models: Mapping[str, type[BaseModel]],
    meanings: Mapping[str, str],
    definitions: Schema,
) -> Schema:
    """The schema of a component: its kind determines its settings.

    Args:
        part: Name of the part, for the names of definitions.
        models: Model of the settings by kind.
        meanings: Description by kind.
        definitions: Receives the schema of each kind.
    """
    for kind, model in models.items():
        name = f"{part}.{kind}"
        schema = of_model(model, f"#/$defs/{name}/$defs")
        schema["properties"] = {"kind": {"const": kind}, **schema.get("properties", {})}
        definitions[name] = {**schema, "description": meanings[kind]}
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {
                "anyOf": [
                    {"enum": list(models)},
                    {"type": "string", "pattern": r"\.", "description": "your own module"},
                ]
            }
        },
        "allOf": [
            {
                "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
                "then": {"$ref": f"#/$defs/{part}.{kind}"},
            }
            for kind in models
        ],
    }


def of_model(model: type[BaseModel], definitions: str) -> Schema:
    """The schema of a model without the titles, which repeat the names.

    Args:
        model: The settings.
        definitions: JSON pointer to the schemas that it refers to.
    """
    schema: Schema = _untitled(model.model_json_schema(ref_template=f"{definitions}/{{model}}"))
    return schema


def _untitled(schema: Any) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(schema, dict):
        return {
            key: _untitled(value)
            for key, value in schema.items()
            if key != "title" or not isinstance(value, str)
        }
    return [_untitled(part) for part in schema] if isinstance(schema, list) else schema
