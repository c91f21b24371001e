"""The JSON schemas of the configurations of trainings, fine-tunings and ablations."""

import inspect
from collections.abc import Mapping

from pydantic import BaseModel

from pipeline.config.schema import Schema, by_kind, of_model
from training import ablation_config
from training.config import NETWORKS, File, SheetConfig
from training.finetune import config as finetune_config
from training.source_config import KINDS, Folders


def of_training(definitions: Schema) -> Schema:
    """The schema; what it refers to is added to ``definitions``, which has that of runs."""
    schema = of_model(File, "#/$defs")
    own = schema.pop("$defs")
    own["network"] = _kinds("network", {k: m.Config for k, m in NETWORKS.items()}, own)
    own["training_source"] = _kinds("training_source", KINDS, own)
    own["folders"] = of_model(Folders, "#/$defs/folders/$defs")
    own["sheet"] = of_model(SheetConfig, "#/$defs/sheet/$defs")
    sources = own["DataConfig"]["properties"]
    sources["sources"] = _by_name({"$ref": "#/$defs/training_source"})
    sources["held_out"] = _by_name({"$ref": "#/$defs/folders"})
    own["ScoresConfig"]["properties"]["sets"] = _by_name({"$ref": "#/$defs/source"})
    schema["properties"] |= {
        # of a weights file the kind is known, and so it has a default
        "network": {key: value for key, value in own["network"].items() if key != "required"},
        "sheet": {"anyOf": [{"$ref": "#/$defs/sheet"}, {"type": "null"}]},
    }
    definitions |= own
    return schema


def of_finetuning(definitions: Schema, runs: Schema) -> Schema:
    """The schema; what it refers to is added to ``definitions``, which has that of trainings.

    Args:
        definitions: As for ``of_training``, after it.
        runs: The schema of a run, whose sections are all those but ``sinks`` too.
    """
    schema = of_model(finetune_config.File, "#/$defs/finetuning/$defs")
    own = schema["$defs"]
    own["DataConfig"]["properties"] |= {
        "sources": _by_name({"$ref": "#/$defs/training_source"}),
        "held_out": _by_name({"$ref": "#/$defs/folders"}),
    }
    definitions["finetuning"] = {"$defs": schema.pop("$defs")}
    sections = {name: part for name, part in runs["properties"].items() if name != "sinks"}
    schema["properties"] = {**sections, **schema["properties"], "run": sections["run"]}
    return {**schema, "required": ["source", "arms", "detector", "data"]}


def of_ablation(definitions: Schema, runs: Schema) -> Schema:
    """The schema; what it refers to is added to ``definitions``, which has that of runs.

    Args:
        definitions: As for ``of_training``.
        runs: The schema of a run, which that of ``scoring`` is but for its section ``run``.
    """
    schema = of_model(ablation_config.File, "#/$defs")
    definitions |= schema.pop("$defs")
    sections = {name: part for name, part in runs["properties"].items() if name != "run"}
    schema["properties"]["scoring"] = {**runs, "properties": sections, "required": ["source"]}
    return schema


def _kinds(part: str, models: Mapping[str, type[BaseModel]], definitions: Schema) -> Schema:
    meanings = {
        kind: (inspect.getdoc(model) or "").partition("\n")[0].rstrip(".")
        for kind, model in models.items()
    }
    return by_kind(part, models, meanings, definitions)


def _by_name(schema: Schema) -> Schema:
    """A map from names to values of a schema; null removes one."""
    return {"type": "object", "additionalProperties": {"anyOf": [schema, {"type": "null"}]}}
