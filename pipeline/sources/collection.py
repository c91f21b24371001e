"""Many recordings or folders of images as one source, listed in a table with their settings.

The table is CSV, a row each, or YAML, a list of maps. `name` is the first part of the keys of its
pairs; all other columns are settings of their source as in a configuration, `kind` first, with dots
where one is inside another (`names.pairs`). Empty cells of CSV are left out. A path that isn't
absolute counts from the table's folder.

Each is read as if it were alone: the automatic gain, the clock, dead cameras, tracks and batches
begin anew.
"""

import csv
import io
import logging
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from common.component import ComponentConfig
from common.errors import DataError, IrvisError, shown
from common.files import MEGABYTE, load_yaml, read_text
from common.modality import Modality
from eval.class_names import COCO_NAMES
from eval.label_report import LabelReport
from eval.labels import Labels
from pipeline.config import components
from pipeline.config.components import Component
from pipeline.config.overrides import apply_override
from pipeline.config.sections import NAME
from pipeline.frames import BadPair, Dropped, FramePair, Shard
from pipeline.interfaces import Source, Thread

log = logging.getLogger(__name__)
LATEST = 32  # sources whose labels are at hand; more than the pairs between the stages


class Config(ComponentConfig):
    """A table of recordings or folders."""

    table: Path = Field(description="CSV or YAML: name, kind and the settings of each source")


class _Entry(BaseModel):
    """The part of a row that every kind has."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(pattern=NAME)
    kind: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a source once it was opened."""

    count: int | None
    keys: Sequence[str] | None
    frame_rate: Fraction | None
    has_labels: bool
    labels_on: Modality
    report: LabelReport | None
    protocol: Mapping[str, Any]


def build(config: Config, names: Mapping[int, str] = COCO_NAMES) -> "Collection":
    """The pairs of all sources, one after the other; each is opened once to see that it can be.

    Raises:
        DataError: The table is wrong, or a source can't be opened; the text names its row.
    """
    entries = [_component(config.table, row) for row in _rows(config.table)]
    if not entries:
        raise DataError(f"{config.table}: lists nothing; give name, kind and settings of sources")
    repeated = [name for name, times in Counter(name for name, _ in entries).items() if times > 1]
    if repeated:
        raise DataError(f"{config.table}: the name {shown(repeated[0])} occurs twice; rename one")
    return Collection(config.table, entries, names)
