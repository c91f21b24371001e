"""The JSON schema of the configuration of the training of segmenters."""

from pipeline.config.schema import Schema, of_model
from training.segmenter_config import SegmenterFile


def of_segmentation(definitions: Schema) -> Schema:
    """The schema; what it refers to is added to ``definitions``, which has that of runs."""
    schema = of_model(SegmenterFile, "#/$defs")
    for name, part in schema.pop("$defs").items():
        definitions.setdefault(name, part)
    arm = {"anyOf": [{"$ref": "#/$defs/arms"}, {"type": "null"}]}
    schema["properties"] |= {
        "source": {"$ref": "#/$defs/source"},
        "arms": {"type": "object", "additionalProperties": arm},
    }
    return schema
