"""Reading the table of a collection: the name and the source of each row."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from common.errors import DataError, IrvisError
from common.files import MEGABYTE, expand, is_address, load_yaml, read_text
from pipeline.config import components
from pipeline.config.components import Component
from pipeline.config.overrides import apply_override
from pipeline.config.sections import NAME

MOST = 64 * MEGABYTE  # of a table


class _Row(BaseModel):
    """What a row has besides the settings of its kind."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(pattern=NAME)
    kind: str


def read_table(path: Path) -> Iterator[tuple[str, Component]]:
    """The rows of a table.

    Raises:
        DataError: The table can't be read, or a row is wrong; the text names it.
    """
    for where, row in _csv(path) if path.suffix.lower() == ".csv" else _yaml(path):
        try:
            name = components.validate(_Row, row, "").name
            if row["kind"] == "collection":
                raise DataError("a collection can't be in another one; list its sources here")
            source = components.load("source", _settings(name, row, path.parent), name)
        except IrvisError as error:
            raise DataError(f"{where}: {error}") from error
        yield name, source


def _settings(name: str, row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of a source, its paths counted from the table's folder."""
    settings = {key: value for key, value in row.items() if key != "name"}
    fields = components.module_of("source", str(row["kind"]), name).Config.model_fields
    for key, field in fields.items():
        value = settings.get(key)
        if not isinstance(value, str) or is_address(value):
            continue
        if "Path" in str(field.annotation):
            settings[key] = str(folder / expand(value))
    return settings


def _yaml(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = load_yaml(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: must be a list, each with name, kind and settings of a source")
    for number, row in enumerate(rows, 1):
        where = f"{path}: entry {number}"
        if not isinstance(row, dict):
            raise DataError(f"{where}: must be a map with name, kind and settings of a source")
        yield where, {str(key): value for key, value in row.items()}


def _csv(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(read_text(path, MOST)), skipinitialspace=True)
    try:
        header = next(reader, [])
        for cells in reader:
            if not any(cells):
                continue
            where = f"{path}:{reader.line_num}"
            if len(cells) > len(header):
                raise DataError(f"{where}: has {len(cells)} cells, the header {len(header)}")
            row: dict[str, Any] = {}
            for column, text in zip(header, cells, strict=False):
                if column in ("name", "kind") and text:
                    row[column] = text
                elif text:
                    try:
                        apply_override(row, f"{column}={text}")
                    except IrvisError as error:
                        raise DataError(f"{where}: {error}") from error
            yield where, row
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: no CSV ({error}); repair it") from error
